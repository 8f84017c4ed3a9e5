import type { Clock } from "../lib/clock.ts";
import type { JobEvent, JobTimings } from "../protocol/events.ts";

/**
 * Times a job from outside, from its making on: for one that is left or fails before the engine tells
 * its own times, and for several that are told as one.
 */
export class Stopwatch {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #startMs: number;
  #acceptedMs: number;
  #firstMs: number | null = null;
  #computedPromptTokens = 0;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#acceptedMs = this.#startMs;
  }

  /** Something was sampled. */
  get hasText(): boolean {
    return this.#firstMs !== null;
  }

  observe(event: JobEvent): void {
    if (event.type === "accepted") {
      this.#acceptedMs = this.#clock.monotonicMs();
      this.#computedPromptTokens = event.promptTokens - event.cachedTokens;
    } else if (event.type === "text") this.#firstMs ??= this.#clock.monotonicMs();
  }

  timings(): JobTimings {
    const nowMs = this.#clock.monotonicMs();
    const firstMs = this.#firstMs ?? nowMs;
    return {
      queuedMs: this.#acceptedMs - this.#startMs,
      prefillMs: firstMs - this.#acceptedMs,
      decodeMs: nowMs - firstMs,
      ttftMs: firstMs - this.#startMs,
      computedPromptTokens: this.#computedPromptTokens,
    };
  }
}
