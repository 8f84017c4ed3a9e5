import { cpus } from "node:os";
import type { Clock } from "../lib/clock.ts";
import type { ModelContext } from "../llama/backend.ts";

/** Decode time over which the processors' share is judged. */
const WINDOW_MS = 250;
/** The same with fewer threads than all: how soon free processors are noticed. */
const FEWER_WINDOW_MS = 100;
/** Below this share of the time asked for, other processes want the processors. */
const CROWDED_SHARE = 0.75;
/** From this share on a processor is ours alone. */
const CALM_SHARE = 0.95;
/** Bad windows in a row that count: the first decodes wait for the disk. */
const CROWDED_WINDOWS = 2;
/** Other threads are kept when a step then takes at most this part of its time before. */
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
/** The same while processors are idle, after that did not help once: others may have come back just then. */
const FIRST_FREE_WAIT_MS = 500;
/** All threads are tried at once when this part of the processors they need is idle. */
const FREE_SHARE = 0.75;
/** Below this part others want them. */
const TAKEN_SHARE = 0.5;

/** What one window of decodes looked like. */
interface Window {
  ms: number;
  /** Processor time got, as a part of what all threads asked for. */
  share: number;
  /** Means of the window's decodes. */
  stepMs: number;
  rows: number;
  /** Processors that nobody used meanwhile. */
  idle: number;
}

/** Other threads on probation: what it was like before, and with how many. */
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
 * when to try fewer, and all are tried again from time to time, and as soon as the processors they need are
 * idle; what a step then takes tells which to keep.
 */
export class ThreadGovernor {
  readonly #most: number;
  readonly #clock: Clock;
  readonly #idleMs: () => number;
  #threads: number;
  #wallMs = 0;
  #cpuMs = 0;
  #rows = 0;
  #machineIdleMs = 0;
  #steps = 0;
  #crowded = 0;
  #calmMs = 0;
  /** Decode time with fewer threads than all, and when all are tried again. */
  #fewerMs = 0;
  #growWaitMs = FIRST_WAIT_MS;
  /** The same when processors are idle; none at first, and after others have used them. */
  #freeWaitMs = 0;
  #trial: Trial | null = null;
  /** Fewer threads did not pay: decode time until they may be tried again. */
  #hold: { leftMs: number; stepMs: number } | null = null;
  #holdMs = FIRST_WAIT_MS;

  /** @param idleMs time that the machine's processors were idle so far, all together. */
  constructor(most: number, clock: Clock, idleMs: () => number = machineIdleMs) {
    this.#most = most;
    this.#threads = most;
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  /** Decodes the context's batch, and changes its threads when that shows they are too many. */
  decode(context: ModelContext): "ok" | "full" {
    const rows = context.batch.length;
    const isFewer = this.#threads < this.#most;
    const idleBeforeMs = isFewer ? this.#idleMs() : 0;
    const startMs = this.#clock.monotonicMs();
    const before = process.cpuUsage();
    const result = context.decode();
    const { user, system } = process.cpuUsage(before);
    const wallMs = this.#clock.monotonicMs() - startMs;
    const idleMs = isFewer ? this.#idleMs() - idleBeforeMs : 0;
    const threads = this.record(wallMs, (user + system) / 1000, rows, idleMs);
    if (threads !== null) context.setThreads(threads);
    return result;
  }

  /**
   * Takes the duration of one decode, the processor time of this process during it, its tokens, and the time
   * that processors were idle meanwhile, which counts with fewer threads than all.
   * @returns the number of threads for the next decodes, or null when it does not change.
   */
  record(wallMs: number, cpuMs: number, rows: number, idleMs = 0): number | null {
    this.#wallMs += wallMs;
    this.#cpuMs += cpuMs;
    this.#rows += rows;
    this.#machineIdleMs += idleMs;
    this.#steps++;
    const isFewer = this.#threads < this.#most && this.#trial === null;
    if (this.#wallMs < (isFewer ? FEWER_WINDOW_MS : WINDOW_MS)) return null;
    const window = {
      ms: this.#wallMs,
      share: this.#cpuMs / (this.#wallMs * this.#threads),
      stepMs: this.#wallMs / this.#steps,
      rows: this.#rows / this.#steps,
      idle: this.#machineIdleMs / this.#wallMs,
    };
    this.#wallMs = this.#cpuMs = this.#rows = this.#machineIdleMs = this.#steps = 0;
    if (this.#trial !== null) return this.#judge(this.#trial, window);
    return this.#grow(window) ?? this.#yield(window);
  }

  /** Tries all threads when fewer have been at work for a while, or when processors are free again. */
  #grow(window: Window): number | null {
    if (this.#threads === this.#most) return null;
    this.#fewerMs += window.ms;
    const wanted = this.#most - this.#threads;
    if (window.idle < wanted * TAKEN_SHARE) this.#freeWaitMs = 0;
    const isFree = window.idle >= wanted * FREE_SHARE;
    const waitMs = isFree ? Math.min(this.#freeWaitMs, this.#growWaitMs) : this.#growWaitMs;
    return this.#fewerMs < waitMs ? null : this.#try(this.#most, window);
  }

  /** Tries fewer threads when others want the processors. */
  #yield(window: Window): number | null {
    if (window.share >= CROWDED_SHARE) return this.#rest(window);
    this.#calmMs = 0;
    this.#crowded++;
    if (this.#hold !== null) {
      this.#hold.leftMs -= window.ms;
      const isOver = this.#hold.leftMs <= 0 || window.stepMs > this.#hold.stepMs * MUCH_SLOWER;
      if (isOver) this.#hold = null;
    }
    if (this.#threads === 1 || this.#crowded < CROWDED_WINDOWS || this.#hold !== null) return null;
    return this.#try(Math.max(Math.floor(this.#threads * window.share), 1), window);
  }

  /** After a calm while with all threads, past failures say nothing any more. */
  #rest({ share, ms }: Window): null {
    this.#crowded = 0;
    this.#calmMs = share < CALM_SHARE || this.#threads < this.#most ? 0 : this.#calmMs + ms;
    if (this.#calmMs < LONGEST_WAIT_MS) return null;
    this.#calmMs = 0;
    this.#hold = null;
    this.#holdMs = this.#growWaitMs = FIRST_WAIT_MS;
    return null;
  }

  #try(threads: number, before: Window): number {
    this.#trial = { before, threads: this.#threads, windows: 0 };
    return this.#change(threads);
  }

  #judge(trial: Trial, window: Window): number | null {
    trial.windows++;
    const isAlike = Math.abs(window.rows - trial.before.rows) <= trial.before.rows * SAME_ROWS;
    if (!isAlike && trial.windows < TRIAL_WINDOWS) return null;
    this.#trial = null;
    const isGrowth = this.#threads > trial.threads;
    if (isAlike && window.stepMs <= trial.before.stepMs * WORTHWHILE) {
      if (isGrowth) {
        this.#growWaitMs = FIRST_WAIT_MS;
        this.#freeWaitMs = 0;
      }
      return null;
    }
    if (isGrowth) {
      this.#growWaitMs = Math.min(this.#growWaitMs * 2, LONGEST_WAIT_MS);
      this.#freeWaitMs = Math.min(
        Math.max(this.#freeWaitMs * 2, FIRST_FREE_WAIT_MS),
        LONGEST_WAIT_MS,
      );
    } else {
      this.#hold = { leftMs: this.#holdMs, stepMs: trial.before.stepMs };
      this.#holdMs = Math.min(this.#holdMs * 2, LONGEST_WAIT_MS);
    }
    return this.#change(trial.threads);
  }

  #change(threads: number): number {
    this.#threads = threads;
    this.#crowded = 0;
    this.#fewerMs = 0;
    return threads;
  }
}

/** Since the machine started. Of the machine, not of a container on it. */
function machineIdleMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0);
}
