import type { Clock } from "../../lib/clock.ts";
import type { Archive } from "./archive.ts";

/** Part of the time that saving may take beside running jobs. */
const SHARE = 0.01;
/** At the end no more time is spent on what is not saved yet. */
const LAST_MS = 1_200;

/** When stored prefixes are saved: in small pieces beside running jobs, one after the other in idle times. */
export class BackgroundSaving {
  readonly #archive: Archive;
  readonly #clock: Clock;
  #nextMs = 0;
  /** What has been waited for, by the archive's version. */
  #settled = 0;

  constructor(archive: Archive, clock: Clock) {
    this.#archive = archive;
    this.#clock = clock;
  }

  /** Jobs run: saves a block when the last one is long enough ago. */
  beside(): void {
    if (!this.#archive.hasWork) return;
    const startMs = this.#clock.monotonicMs();
    if (startMs < this.#nextMs) return;
    this.#archive.saveSome();
    const endMs = this.#clock.monotonicMs();
    this.#nextMs = endMs + (endMs - startMs) / SHARE;
  }

  /** Nothing runs: saves a block, or waits until all are kept. @returns when to go on; null = nothing is left. */
  idle(): Promise<void> | null {
    if (this.#archive.isFull) return this.#archive.settled();
    if (!this.#archive.hasWork) {
      if (this.#archive.version === this.#settled) return null;
      this.#settled = this.#archive.version;
      return this.#archive.settled();
    }
    this.#archive.saveSome();
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Before the process ends: saves what it can in a second, and waits until it will outlive it. */
  async finish(): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + LAST_MS;
    const isTime = (): boolean => this.#clock.monotonicMs() < deadlineMs;
    while (isTime() && (this.#archive.hasWork || this.#archive.isFull)) {
      if (this.#archive.isFull) await this.#archive.settled();
      else this.#archive.saveSome();
    }
    await this.#archive.settled();
  }
}
