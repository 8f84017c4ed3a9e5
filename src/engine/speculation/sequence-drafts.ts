import type { Choice } from "../choice.ts";
import { type Continuation, NgramLookup } from "./ngram-lookup.ts";

/** Most tokens guessed at once. */
const LONGEST_DRAFT = 16;
/** How much of its tokens a sequence may lose to wrong guesses, and what it may lose at first. */
const LOSS_SHARE = 0.015;
const FIRST_CREDIT = 0.5;
/** Past success pays for at most so many tokens. */
const MOST_SAVED = 4;
/** Each verified draft makes those before count so much less. */
const MEMORY = 0.9;
/** The first estimate of a chance weighs like so many tokens. */
const GUESS_WEIGHT = 2;

/** Repetitions by length, and the first estimate that the next token repeats too. */
const KINDS = [
  { match: 17, chance: 0.95 },
  { match: 9, chance: 0.8 },
  { match: 5, chance: 0.6 },
  { match: 0, chance: 0.4 },
] as const;

/** Guesses for one choice: where they come from, how often they were right, what they cost. */
export class SequenceDrafts {
  readonly #choice: Choice;
  readonly #lookup: NgramLookup;
  readonly #kinds = KINDS.map((kind) => ({ ...kind, right: 0, wrong: 0 }));
  /** Tokens won, less those that the time for guesses would have brought. */
  #balance = 0;
  #found: Continuation | null = null;

  constructor(choice: Choice) {
    this.#choice = choice;
    this.#lookup = new NgramLookup(choice.tokens);
  }

  /**
   * What could be tried now.
   * @param rowPrice tokens that the time for one more row would bring otherwise.
   */
  offer(rowPrice: number): { most: number; chance: number } {
    const { budget, generated } = this.#choice;
    this.#found = this.#lookup.find();
    if (this.#found === null) return { most: 0, chance: 0 };
    const credit = FIRST_CREDIT + LOSS_SHARE * generated + this.#balance;
    const { right, wrong, chance } = this.#kind(this.#found.match);
    return {
      most: Math.max(Math.min(LONGEST_DRAFT, budget - 1, Math.floor(credit / rowPrice)), 0),
      chance: (right + GUESS_WEIGHT * chance) / (right + wrong + GUESS_WEIGHT),
    };
  }

  /** The first `count` tokens of what was offered last. */
  take(count: number): Int32Array {
    return this.#found === null || count === 0
      ? new Int32Array(0)
      : this.#lookup.read(this.#found.at, count);
  }

  /** Of `count` guesses the first `accepted` were right. */
  verified(count: number, accepted: number, rowPrice: number): void {
    this.#balance = Math.min(this.#balance + accepted - count * rowPrice, MOST_SAVED);
    const kind = this.#kind(this.#found?.match ?? 0);
    kind.right = kind.right * MEMORY + accepted;
    kind.wrong = kind.wrong * MEMORY + (accepted < count ? 1 : 0);
  }

  #kind(match: number) {
    return this.#kinds.find((kind) => match >= kind.match) ?? { right: 0, wrong: 0, chance: 0 };
  }
}
