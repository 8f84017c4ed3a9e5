/** Bounds of one engine process. Durations in ms. */
export interface EngineLimits {
  /** Least silence, while jobs run, before an engine is ended; grows with the step time. */
  watchdogMs: number;
  /**
   * Longest silence while a model loads, and longest wait of a request for a load, or before it for
   * an instance to leave.
   */
  loadTimeoutMs: number;
  /** Steps without an event after which an accepted job counts as lost. */
  muteSteps: number;
  /** Bytes of commands sent ahead of what the engine has read. */
  windowBytes: number;
  /** Tokens that may wait for a job's reader before the job is ended. */
  maxBufferedTokens: number;
  /** From the polite message to SIGTERM. */
  politeMs: number;
  /** From SIGTERM to SIGKILL. */
  terminateMs: number;
}

export const ENGINE_LIMITS: EngineLimits = Object.freeze({
  watchdogMs: 30_000,
  loadTimeoutMs: 600_000,
  muteSteps: 8_192,
  windowBytes: 8 * 1024 * 1024,
  maxBufferedTokens: 65_536,
  politeMs: 2_000,
  terminateMs: 1_000,
});
