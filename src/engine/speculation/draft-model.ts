import { assert, defined } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Model, ModelContext } from "../../llama/backend.ts";
import { argmax } from "../../llama/largest.ts";
import type { Choice } from "../choice.ts";
import type { ThreadGovernor } from "../thread-governor.ts";
import { probabilityOf } from "../logprobs.ts";

/** Tokens that are read per step for a sequence that is behind; it gets guesses when it is not. */
const CATCH_UP = 128;
const SMOOTHING = 0.2;

/** What the draft model holds of one choice. */
interface Held {
  readonly sequence: number;
  /** Every token in its KV cache, guesses included. */
  readonly tokens: number[];
}

export interface DraftModelOptions {
  /** Its own from now on. */
  model: Model;
  /** Its own from now on, with a sequence for each slot of the large model. */
  context: ModelContext;
  /** A guess less likely than this, by the draft model itself, is not made; 0 = all are. */
  minProbability: number;
  /** null = the context's threads stay as they are. */
  governor: ThreadGovernor | null;
  clock: Clock;
}

/** A sequence that wants at most `count` guesses. */
export interface DraftWish {
  readonly choice: Choice;
  readonly count: number;
}

/** Guesses of one choice in the making. */
interface Draft extends DraftWish {
  readonly held: Held;
  readonly guesses: number[];
  isOver: boolean;
}

/**
 * A small model that guesses what a large one will say: greedily, some tokens at a time, for all
 * sequences in one batch. Its KV cache follows each choice: what was guessed wrong is removed, what
 * was said meanwhile is read when guesses are wanted again.
 */
export class DraftModel {
  readonly #options: DraftModelOptions;
  readonly #held = new Map<Choice, Held>();
  readonly #free: number[];
  #stepMs = 0;

  constructor(options: DraftModelOptions) {
    this.#options = options;
    const { sequences } = options.context;
    this.#free = Array.from({ length: sequences }, (_, index) => index);
  }

  /** Running average of what one guess for every sequence takes; 0 before the first. */
  get stepMs(): number {
    return this.#stepMs;
  }

  /** Guesses for each wish, in their order. None for a sequence of which much is still unread. */
  draft(wishes: readonly DraftWish[]): Int32Array[] {
    const drafts = wishes.map(({ choice, count }): Draft => {
      const held = this.#heldOf(choice);
      const isOver = count === 0 || !this.#catchUp(choice, held);
      return { choice, count, held, guesses: [], isOver };
    });
    for (;;) {
      const growing = drafts.filter(({ isOver }) => !isOver);
      if (growing.length === 0) break;
      this.#guess(growing);
    }
    return drafts.map(({ guesses }) => Int32Array.from(guesses));
  }

  /** Forgets a choice that has no slot any more. */
  release(choice: Choice): void {
    const held = this.#held.get(choice);
    if (held === undefined) return;
    this.#cut(held, 0);
    this.#free.push(held.sequence);
    this.#held.delete(choice);
  }

  dispose(): void {
    this.#options.context.dispose();
    this.#options.model.dispose();
  }

  #heldOf(choice: Choice): Held {
    const known = this.#held.get(choice);
    if (known !== undefined) return known;
    const sequence = defined(this.#free.pop(), "there is a sequence for each slot");
    const held = { sequence, tokens: [] };
    this.#held.set(choice, held);
    return held;
  }

  /** Makes the cache hold all but the last token. @returns false when that takes more steps. */
  #catchUp(choice: Choice, held: Held): boolean {
    const said = choice.tokens.view();
    const target = said.length - 1;
    let same = 0;
    while (same < held.tokens.length && same < target && held.tokens[same] === said[same]) same++;
    this.#cut(held, same);
    const { batch } = this.#options.context;
    const unread = said.subarray(same, Math.min(target, same + CATCH_UP, same + batch.capacity));
    if (unread.length === 0) return same === target;
    batch.clear();
    for (const [index, token] of unread.entries()) {
      batch.add(token, same + index, held.sequence, false);
    }
    if (!this.#decode()) return false;
    held.tokens.push(...unread);
    return held.tokens.length === target;
  }

  /** One more token for each. */
  #guess(drafts: readonly Draft[]): void {
    const { batch } = this.#options.context;
    const startMs = this.#options.clock.monotonicMs();
    batch.clear();
    const fed = drafts.map(({ choice, held, guesses }) => {
      const token = guesses.at(-1) ?? choice.tokens.at(choice.tokens.length - 1);
      batch.add(token, held.tokens.length, held.sequence, true);
      return token;
    });
    const isComputed = this.#decode();
    for (const [row, draft] of drafts.entries()) {
      if (!isComputed) {
        draft.isOver = true;
        continue;
      }
      draft.held.tokens.push(fed[row] ?? 0);
      this.#choose(draft, this.#options.context.logits(row));
    }
    const elapsedMs = this.#options.clock.monotonicMs() - startMs;
    this.#stepMs += (elapsedMs - this.#stepMs) * (this.#stepMs === 0 ? 1 : SMOOTHING);
  }

  #choose(draft: Draft, logits: Float32Array): void {
    const best = argmax(logits);
    const { minProbability } = this.#options;
    const isUnsure = minProbability > 0 && probabilityOf(logits, best) < minProbability;
    if (!isUnsure) draft.guesses.push(best);
    draft.isOver = isUnsure || draft.guesses.length === draft.count;
  }

  /** @returns false when its cache is full: then it forgets everything and begins anew. */
  #decode(): boolean {
    const { context, governor } = this.#options;
    if ((governor?.decode(context) ?? context.decode()) === "ok") return true;
    for (const held of this.#held.values()) this.#cut(held, 0);
    return false;
  }

  #cut(held: Held, length: number): void {
    if (held.tokens.length === length) return;
    const isRemoved = this.#options.context.removeSequence(held.sequence, length, -1);
    assert(isRemoved, "the cache of a draft model can be cut");
    held.tokens.length = length;
  }
}
