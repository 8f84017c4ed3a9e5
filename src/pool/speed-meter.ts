const SHORTEST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
const NEWEST_WEIGHT = 0.2;

/** How long jobs take, newest weighted most; says when a refused one may come back. */
export class SpeedMeter {
  #meanMs: number | null = null;

  add(jobMs: number): void {
    const mean = this.#meanMs ?? jobMs;
    this.#meanMs = mean + (jobMs - mean) * NEWEST_WEIGHT;
  }

  /**
   * Time until the queue has room: one job must end, and `parallel` of them run at once, with the
   * whole queue ahead of the caller.
   *
   * @returns 1,000 to 30,000 ms.
   */
  retryAfterMs(openJobs: number, parallel: number): number {
    const rounds = Math.max(1, openJobs / parallel);
    const estimate = (this.#meanMs ?? SHORTEST_RETRY_MS) * rounds;
    return Math.round(Math.min(LONGEST_RETRY_MS, Math.max(SHORTEST_RETRY_MS, estimate)));
  }
}
