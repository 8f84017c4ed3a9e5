import { assert, defined } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import type { ModelContext } from "../llama/backend.ts";
import { type EmbedItem, fillBatch } from "./embed-queue.ts";

interface Lane {
  readonly context: ModelContext;
  /** What it computes; null = it is free. */
  items: readonly EmbedItem[] | null;
  startMs: number;
  /** How it ended; null = it computes. */
  end: { ms: number; error: Error | null } | null;
}

/** A decode that has ended, whose vectors are in the context until its lane starts another. */
export interface LaneResult {
  context: ModelContext;
  items: readonly EmbedItem[];
  /** Duration of the decode. */
  ms: number;
}

/**
 * Contexts that compute at the same time, each on its own threads. Threads that share a decode meet
 * after every operation, which costs the more the smaller the model is; these never meet.
 */
export class EmbedLanes {
  readonly #lanes: readonly Lane[];
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  #under: Promise<void> = Promise.resolve();

  /**
   * @param contexts its own from now on.
   * @param onEnd called when a decode has ended.
   */
  constructor(contexts: readonly ModelContext[], clock: Clock, onEnd: () => void) {
    this.#lanes = contexts.map((context) => ({ context, items: null, startMs: 0, end: null }));
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  /** Something is being computed, or was and is not collected. */
  get isBusy(): boolean {
    return this.#lanes.some(({ items }) => items !== null);
  }

  get hasEnded(): boolean {
    return this.#lanes.some(({ end }) => end !== null);
  }

  /** The context of a free lane. */
  get free(): ModelContext | null {
    return this.#lanes.find(({ items }) => items === null)?.context ?? null;
  }

  /** Computes the inputs in the free context. */
  start(context: ModelContext, items: readonly EmbedItem[]): void {
    const lane = defined(
      this.#lanes.find((each) => each.context === context),
      "a lane's own context",
    );
    assert(lane.items === null, "a lane computes one batch at a time");
    lane.items = items;
    lane.startMs = this.#clock.monotonicMs();
    fillBatch(context, items);
    const ended = context.decodeApart().then(
      (result) => this.#end(lane, result === "ok" ? null : new Error("The context is full")),
      (error: unknown) =>
        this.#end(lane, error instanceof Error ? error : new Error(String(error))),
    );
    this.#under = Promise.all([this.#under, ended]).then(() => undefined);
  }

  /** The decodes that have ended. Their lanes are free. @throws what a decode threw. */
  collect(): LaneResult[] {
    return this.#lanes.flatMap((lane) => {
      const { context, items, end } = lane;
      if (items === null || end === null) return [];
      if (end.error !== null) throw end.error;
      lane.items = lane.end = null;
      return [{ context, items, ms: end.ms }];
    });
  }

  /** Until nothing is being computed. */
  async rest(): Promise<void> {
    await this.#under;
  }

  /** Nothing may be under way. */
  dispose(): void {
    for (const { context } of this.#lanes) context.dispose();
  }

  #end(lane: Lane, error: Error | null): void {
    lane.end = { ms: this.#clock.monotonicMs() - lane.startMs, error };
    this.#onEnd();
  }
}
