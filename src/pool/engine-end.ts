import type { Clock } from "../lib/clock.ts";
import { invalidRequest, LmError } from "../lib/errors.ts";
import { isStarvation } from "../lib/system-code.ts";
import type { EngineChannel } from "./engine-channel.ts";
import type { EngineLimits } from "./engine-limits.ts";
import { lastWords } from "./last-words.ts";

/** How an engine ended. `cause` is a clause such as "the engine was killed by SIGSEGV". */
export interface EngineEnd {
  stage: "failed" | "crashed" | "stopped";
  /** The engine itself refused the model, so that loading the same file again is pointless. */
  refused: boolean;
  cause: string;
  /** Field of the request that asked for what cannot be loaded; absent = none did. */
  param?: string;
}

/** A killed process that the kernel cannot end is given up. */
const REAP_MS = 5_000;
/** After which connections may have been closed. */
const STARVED_RETRY_MS = 1_000;

export interface EnderOptions {
  channel: Pick<EngineChannel, "send" | "kill">;
  limits: Pick<EngineLimits, "politeMs" | "terminateMs">;
  clock: Clock;
  /** Called once: the process is gone, or given up. */
  onGone: () => void;
}

/** Ends one process by ever stronger means: a message, SIGTERM, SIGKILL. */
export class EngineEnder {
  readonly #options: EnderOptions;
  #timers: (() => void)[] = [];
  #isGone = false;

  constructor(options: EnderOptions) {
    this.#options = options;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  stopPolitely(): void {
    const { channel, limits } = this.#options;
    channel.send({ type: "shutdown" });
    this.after(limits.politeMs, () => {
      channel.kill("SIGTERM");
      this.after(limits.terminateMs, () => this.kill());
    });
  }

  kill(): void {
    this.#options.channel.kill("SIGKILL");
    this.after(REAP_MS, () => this.gone());
  }

  /** The process is gone: nothing that was planned happens any more. */
  gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
    this.#options.onGone();
  }

  /** Calls back unless the process is gone by then. */
  after(delayMs: number, callback: () => void): void {
    if (!this.#isGone) this.#timers.push(this.#options.clock.after(delayMs, callback));
  }
}

/** What jobs of an engine fail with that is not there for them (any more); `end` null = not yet. */
export function goneError(model: string, end: EngineEnd | null): LmError {
  if (end === null || end.stage === "stopped") {
    return new LmError("model_unloaded", { model }, `Model "${model}" was unloaded.`);
  }
  const { cause } = end;
  return new LmError("engine_crashed", { model, cause }, `Model "${model}" stopped: ${cause}.`);
}

/** @param param as in `EngineEnd`: it is the request that was wrong, then. */
export function loadRefusal(model: string, reason: string, param?: string): LmError {
  if (param === undefined) return loadFailure(model, reason);
  return invalidRequest(param, "invalid_value", reason);
}

export function loadFailure(model: string, reason: string, cause?: unknown): LmError {
  const message = `Model "${model}" could not be loaded: ${reason}`;
  return new LmError("model_load_failed", { model, reason }, message, { cause });
}

/** The process could not be started. Without descriptors it can be later: that says nothing about the model. */
export function startFailure(model: string, cause: unknown): LmError {
  if (isStarvation(cause)) {
    const message = `The server has too many open connections and files to load "${model}".`;
    return new LmError("overloaded", { retryAfterMs: STARVED_RETRY_MS }, message, { cause });
  }
  const reason = `the engine process could not be started: ${lastWords(String(cause))}`;
  return loadFailure(model, reason, cause);
}
