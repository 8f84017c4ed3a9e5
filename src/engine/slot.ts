import type { HitSource, MissReason, SlotStatus } from "../protocol/events.ts";
import type { Piece } from "./archive/archive.ts";
import type { Choice } from "./choice.ts";

/** Why reuse ended at `atToken`, though the prompt went on. */
export interface Miss {
  readonly reason: MissReason;
  readonly atToken: number;
}

/** Of a slot that has no guesses in the batch. */
export const NO_DRAFTS = new Int32Array(0);

/** A choice at work: which sequence of the KV cache is its own and how far it is computed. */
export class Slot {
  readonly choice: Choice;
  readonly sequence: number;
  /** Tokens of the choice that are in the KV cache. */
  computed = 0;
  /** Of these, the ones that were found there. */
  cached = 0;
  /** Where these were; null = nowhere. */
  source: HitSource | null = null;
  /** Why no more of them were. */
  miss: Miss | null = null;
  /** Cells promised to this slot and not used yet. */
  reserved = 0;
  /** Guesses for the tokens after the next one; in the batch, never in `computed` unless right. */
  drafts: Int32Array = NO_DRAFTS;
  /** An older slot that computes the first `length` tokens of this prompt: they are worth the wait. */
  waitsFor: { readonly slot: Slot; readonly length: number } | null = null;

  /** Archived pieces of the prompt that come next; the slot waits until all are read back. */
  pieces: readonly Piece[] = [];

  constructor(choice: Choice, sequence: number) {
    this.choice = choice;
    this.sequence = sequence;
  }

  /** Others, or the archive, give it tokens before it computes its own. */
  get isWaiting(): boolean {
    return this.waitsFor !== null || this.pieces.length > 0;
  }

  /** Tokens to compute before the next one can be sampled. */
  get remaining(): number {
    return this.choice.tokens.length - this.computed;
  }

  /** One token per step keeps it going, as opposed to a prompt. */
  get isDecoding(): boolean {
    return this.choice.generated > 0 && this.remaining === 1;
  }
}

/** For whoever watches the engine. */
export function slotStatus(slot: Slot): SlotStatus {
  const { choice, cached, computed, isDecoding, isWaiting, miss } = slot;
  return {
    jobId: choice.job.id,
    choice: choice.index,
    state: isWaiting ? "waiting" : isDecoding ? "decode" : "prefill",
    promptTokens: choice.job.prompt.length,
    cachedTokens: cached,
    computedTokens: computed,
    generatedTokens: choice.generated,
    miss,
  };
}

/** Each prompt token of this slot needs its logits. */
export function wantsScores(slot: Slot): boolean {
  return slot.choice.index === 0 && slot.choice.job.wantsPromptScores;
}
