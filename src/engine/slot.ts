import type { Choice } from "./choice.ts";

/** A choice at work: which sequence of the KV cache is its own and how far it is computed. */
export class Slot {
  readonly choice: Choice;
  readonly sequence: number;
  /** Tokens of the choice that are in the KV cache. */
  computed = 0;
  /** Of these, the ones that were found there. */
  cached = 0;
  /** Cells promised to this slot and not used yet. */
  reserved = 0;
  /** An older slot that computes the first `length` tokens of this prompt: they are worth the wait. */
  waitsFor: { readonly slot: Slot; readonly length: number } | null = null;

  constructor(choice: Choice, sequence: number) {
    this.choice = choice;
    this.sequence = sequence;
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
