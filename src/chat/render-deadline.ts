import type { Clock } from "../lib/clock.ts";

/** Between a look that is due and the look: a reply that waits behind the timer is read meanwhile. */
const TURN_MS = 10;
const SHORTEST_WAIT_MS = 100;
/** A thread that does not get to compute is given up after this. A pause counts as the wait it fell into. */
const MAX_WAIT_MS = 60_000;

/** `spent`: it computed as long as it may. `starved`: it did not get to compute that long. */
export type RenderEnd = "spent" | "starved";

/** Processor time of all threads of this process but the calling one, in milliseconds. */
export function othersComputedMs(): number {
  const all = process.cpuUsage();
  const own = process.threadCpuUsage();
  return (all.user + all.system - own.user - own.system) / 1_000;
}

/**
 * Processor time of a render. No system tells the time of another thread everywhere, so what all
 * others computed counts, in equal parts to the renders that ran meanwhile.
 */
export class RenderShares {
  readonly #computedMs: () => number;
  #running = 0;
  #seenMs = 0;
  #shareMs = 0;

  constructor(computedMs = othersComputedMs) {
    this.#computedMs = computedMs;
  }

  enter(): void {
    this.readMs();
    this.#running++;
  }

  leave(): void {
    this.readMs();
    this.#running--;
  }

  /** Grows while renders run, by what each of them computed. */
  readMs(): number {
    const nowMs = this.#computedMs();
    if (this.#running > 0) this.#shareMs += (nowMs - this.#seenMs) / this.#running;
    this.#seenMs = nowMs;
    return this.#shareMs;
  }
}

/**
 * Limits a render by what its thread computed, not by the clock on the wall: a machine that is busy,
 * paused or asleep ends no good render, nor do other renders.
 */
export class RenderDeadline {
  readonly #clock: Pick<Clock, "after">;
  readonly #shares: RenderShares;
  #isRunning = false;
  #cancel: () => void = () => undefined;

  /** @param shares One for all renders of the process. */
  constructor(clock: Pick<Clock, "after">, shares: RenderShares) {
    this.#clock = clock;
    this.#shares = shares;
  }

  /** Calls `onEnd` unless it is stopped before. */
  start(limitMs: number, onEnd: (end: RenderEnd) => void): void {
    this.#isRunning = true;
    this.#shares.enter();
    const begunMs = this.#shares.readMs();
    let waitedMs = 0;
    const look = (): void => {
      const leftMs = limitMs - (this.#shares.readMs() - begunMs);
      if (leftMs <= 0) onEnd("spent");
      else if (waitedMs >= MAX_WAIT_MS) onEnd("starved");
      else wait(Math.max(SHORTEST_WAIT_MS, leftMs));
    };
    const wait = (delayMs: number): void => {
      waitedMs += delayMs;
      this.#cancel = this.#clock.after(delayMs, () => {
        this.#cancel = this.#clock.after(TURN_MS, look);
      });
    };
    wait(limitMs);
  }

  stop(): void {
    this.#cancel();
    if (this.#isRunning) this.#shares.leave();
    this.#isRunning = false;
  }
}
