import type { ModelContext } from "../llama/backend.ts";

/** Decode time over which the processors' share is judged. */
const WINDOW_MS = 250;
/** Below this share of the time asked for, other processes want the processors. */
const CROWDED_SHARE = 0.75;
/** From this share on a processor is ours alone. */
const CALM_SHARE = 0.95;
/** Bad windows in a row that count: the first decodes wait for the disk. */
const CROWDED_WINDOWS = 2;
/** Fewer threads are kept when a step then takes at most this part of its time before. */
const WORTHWHILE = 0.9;
/** Steps are compared when their rows differ by no more than this part. */
const SAME_ROWS = 0.1;
/** Windows that a trial waits for steps it can compare. */
const TRIAL_WINDOWS = 8;
/** A step this much slower than when fewer threads last failed is a reason to try them again. */
const MUCH_SLOWER = 2;
/** Decode time before other threads are tried again; doubles with every failure. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

/** What one window of decodes looked like. */
interface Window {
  ms: number;
  /** Processor time got, as a part of what all threads asked for. */
  share: number;
  /** Means of the window's decodes. */
  stepMs: number;
  rows: number;
}

/** Fewer threads on probation: what it was like before, and with how many. */
interface Trial {
  before: Window;
  threads: number;
  /** Windows since it began. */
  windows: number;
}

/**
 * Chooses how many threads of one context compute. llama.cpp's threads spin at a barrier after every
 * operation, so when another process takes one of their processors all of them wait for it: two
 * threads may then be slower than one, up to a hundredfold. The processor time that decodes got tells
 * when to try fewer; what a step then takes tells whether to keep them.
 */
export class ThreadGovernor {
  readonly #most: number;
  #threads: number;
  #wallMs = 0;
  #cpuMs = 0;
  #rows = 0;
  #steps = 0;
  #crowded = 0;
  #calmMs = 0;
  #waitMs = FIRST_WAIT_MS;
  #trial: Trial | null = null;
  /** Fewer threads did not pay: decode time until they may be tried again. */
  #hold: { leftMs: number; stepMs: number } | null = null;

  constructor(most: number) {
    this.#most = most;
    this.#threads = most;
  }

  /** Decodes the context's batch, and changes its threads when that shows they are too many. */
  decode(context: ModelContext): "ok" | "full" {
    const rows = context.batch.length;
    const startMs = performance.now();
    const before = process.cpuUsage();
    const result = context.decode();
    const { user, system } = process.cpuUsage(before);
    const threads = this.record(performance.now() - startMs, (user + system) / 1000, rows);
    if (threads !== null) context.setThreads(threads);
    return result;
  }

  /**
   * Takes the duration of one decode, the processor time of this process during it, and its tokens.
   * @returns the number of threads for the next decodes, or null when it does not change.
   */
  record(wallMs: number, cpuMs: number, rows: number): number | null {
    this.#wallMs += wallMs;
    this.#cpuMs += cpuMs;
    this.#rows += rows;
    this.#steps++;
    if (this.#wallMs < WINDOW_MS) return null;
    const window = {
      ms: this.#wallMs,
      share: this.#cpuMs / (this.#wallMs * this.#threads),
      stepMs: this.#wallMs / this.#steps,
      rows: this.#rows / this.#steps,
    };
    this.#wallMs = this.#cpuMs = this.#rows = this.#steps = 0;
    if (this.#trial !== null) return this.#judge(this.#trial, window);
    return window.share < CROWDED_SHARE ? this.#yield(window) : this.#grow(window);
  }

  #yield(window: Window): number | null {
    this.#calmMs = 0;
    this.#crowded++;
    if (this.#hold !== null) {
      this.#hold.leftMs -= window.ms;
      const isOver = this.#hold.leftMs <= 0 || window.stepMs > this.#hold.stepMs * MUCH_SLOWER;
      if (isOver) this.#hold = null;
    }
    if (this.#threads === 1 || this.#crowded < CROWDED_WINDOWS || this.#hold !== null) return null;
    this.#trial = { before: window, threads: this.#threads, windows: 0 };
    return this.#change(Math.max(Math.floor(this.#threads * window.share), 1));
  }

  #judge(trial: Trial, window: Window): number | null {
    trial.windows++;
    const isAlike = Math.abs(window.rows - trial.before.rows) <= trial.before.rows * SAME_ROWS;
    if (!isAlike && trial.windows < TRIAL_WINDOWS) return null;
    this.#trial = null;
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
    if (isAlike && window.stepMs <= trial.before.stepMs * WORTHWHILE) return null;
    this.#hold = { leftMs: this.#waitMs, stepMs: trial.before.stepMs };
    return this.#change(trial.threads);
  }

  #grow({ share, ms }: Window): number | null {
    this.#crowded = 0;
    this.#calmMs = share < CALM_SHARE ? 0 : this.#calmMs + ms;
    if (this.#calmMs < this.#waitMs) return null;
    this.#calmMs = 0;
    if (this.#threads < this.#most) return this.#change(this.#most);
    this.#waitMs = Math.max(this.#waitMs / 2, FIRST_WAIT_MS);
    this.#hold = null;
    return null;
  }

  #change(threads: number): number {
    this.#threads = threads;
    this.#crowded = 0;
    return threads;
  }
}
