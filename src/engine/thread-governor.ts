import type { ModelContext } from "../llama/backend.ts";

/** Decode time over which the processors' share is judged. */
const WINDOW_MS = 250;
/** Below this share of the time asked for, other processes want the processors. */
const CROWDED_SHARE = 0.75;
/** From this share on a processor is ours alone. */
const CALM_SHARE = 0.95;
/** Bad windows in a row that count: the first decodes wait for the disk. */
const CROWDED_WINDOWS = 2;
/** Calm decode time before more threads are tried again; doubles with every failure. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

/**
 * Chooses how many threads of one context compute. llama.cpp's threads spin at a barrier after every operation, so
 * when another process takes one of their processors all of them wait for it: two threads are then
 * slower than one, up to a hundredfold. The processor time that decodes got tells when this happens.
 */
export class ThreadGovernor {
  readonly #most: number;
  #threads: number;
  #wallMs = 0;
  #cpuMs = 0;
  #crowded = 0;
  #calmMs = 0;
  #waitMs = FIRST_WAIT_MS;

  constructor(most: number) {
    this.#most = most;
    this.#threads = most;
  }

  /** Decodes the context's batch, and changes its threads when that shows they are too many. */
  decode(context: ModelContext): "ok" | "full" {
    const startMs = performance.now();
    const before = process.cpuUsage();
    const result = context.decode();
    const { user, system } = process.cpuUsage(before);
    const threads = this.record(performance.now() - startMs, (user + system) / 1000);
    if (threads !== null) context.setThreads(threads);
    return result;
  }

  /**
   * Takes the duration of one decode, and the processor time of this process during it.
   * @returns the number of threads for the next decodes, or null when it does not change.
   */
  record(wallMs: number, cpuMs: number): number | null {
    this.#wallMs += wallMs;
    this.#cpuMs += cpuMs;
    if (this.#wallMs < WINDOW_MS) return null;
    const share = this.#cpuMs / (this.#wallMs * this.#threads);
    const windowMs = this.#wallMs;
    this.#wallMs = 0;
    this.#cpuMs = 0;
    return share < CROWDED_SHARE ? this.#yield(share) : this.#grow(share, windowMs);
  }

  #yield(share: number): number | null {
    this.#calmMs = 0;
    this.#crowded++;
    if (this.#threads === 1 || this.#crowded < CROWDED_WINDOWS) return null;
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
    return this.#change(Math.max(Math.floor(this.#threads * share), 1));
  }

  #grow(share: number, windowMs: number): number | null {
    this.#crowded = 0;
    this.#calmMs = share < CALM_SHARE ? 0 : this.#calmMs + windowMs;
    if (this.#calmMs < this.#waitMs) return null;
    this.#calmMs = 0;
    if (this.#threads < this.#most) return this.#change(this.#most);
    this.#waitMs = Math.max(this.#waitMs / 2, FIRST_WAIT_MS);
    return null;
  }

  #change(threads: number): number {
    this.#threads = threads;
    this.#crowded = 0;
    return threads;
  }
}
