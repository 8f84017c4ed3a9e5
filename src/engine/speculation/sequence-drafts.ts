import type { Choice } from "../choice.ts";
import { NO_DRAFTS } from "../slot.ts";
import { type Continuation, NgramLookup } from "./ngram-lookup.ts";

/** Most tokens guessed at once. */
export const LONGEST_DRAFT = 16;
/** How much of its tokens a sequence may lose to wrong guesses, and what it may lose at first. */
const LOSS_SHARE = 0.01;
const FIRST_CREDIT = 0.3;
/** Past success pays for at most so many tokens. */
const MOST_SAVED = 4;
/** Each verified draft makes those before count so much less. */
const MEMORY = 0.9;
/** The first estimate of a chance weighs like so many tokens. */
const GUESS_WEIGHT = 2;
/** Repetitions shorter than this are left to a draft model, where there is one. */
const CLEAR_MATCH = 5;

/** How often guesses of one kind were right, each counting less than the next. */
interface Kind {
  /** Least length of the repetition they were read from; 0 = they came from a draft model. */
  readonly match: number;
  /** The first estimate that the next token is right. */
  readonly chance: number;
  right: number;
  wrong: number;
}

/** The longest repetitions first. */
const KINDS = [
  { match: 17, chance: 0.95 },
  { match: 9, chance: 0.8 },
  { match: 5, chance: 0.6 },
  { match: 1, chance: 0.4 },
  { match: 0, chance: 0.6 },
] as const;

/** Where guesses may come from, and how many tokens the time for one of each would bring otherwise. */
export interface Prices {
  text: number;
  /** null = there is no draft model. */
  model: number | null;
}

/** What could be tried now. */
export interface SequenceOffer {
  source: "text" | "model";
  most: number;
  chance: number;
}

/** Guesses for one choice: where they come from, how often they were right, what they cost. */
export class SequenceDrafts {
  readonly #choice: Choice;
  readonly #lookup: NgramLookup;
  readonly #kinds: readonly Kind[] = KINDS.map((kind) => ({ ...kind, right: 0, wrong: 0 }));
  /** Tokens won, less those that the time for guesses would have brought. */
  #balance = 0;
  /** Of the last offer. */
  #found: Continuation | null = null;
  #kind: Kind | undefined;
  #price = 0;

  constructor(choice: Choice) {
    this.#choice = choice;
    this.#lookup = new NgramLookup(choice.tokens);
  }

  /** The better of a repetition and the draft model. */
  offer(prices: Prices): SequenceOffer {
    const { budget, generated } = this.#choice;
    this.#found = this.#lookup.find();
    const match = this.#found?.match ?? 0;
    const source = prices.model !== null && match < CLEAR_MATCH ? "model" : "text";
    if (source === "text" && match === 0) return { source, most: 0, chance: 0 };
    this.#price = (source === "model" ? prices.model : null) ?? prices.text;
    this.#kind = this.#kinds.find((kind) => (source === "model" ? 0 : match) >= kind.match);
    const { right, wrong, chance } = this.#kind ?? { right: 0, wrong: 0, chance: 0 };
    // Beside many streams a guess is dear; one is tried all the same.
    const first = Math.max(FIRST_CREDIT, this.#price);
    const credit = first + LOSS_SHARE * generated + this.#balance;
    return {
      source,
      most: Math.max(Math.min(LONGEST_DRAFT, budget - 1, Math.floor(credit / this.#price)), 0),
      chance: (right + GUESS_WEIGHT * chance) / (right + wrong + GUESS_WEIGHT),
    };
  }

  /** The first `count` tokens of the repetition that was offered last. */
  read(count: number): Int32Array {
    return this.#found === null || count === 0
      ? NO_DRAFTS
      : this.#lookup.read(this.#found.at, count);
  }

  /** Of `count` guesses the first `accepted` were right; `isWrong` = the next one was not. */
  verified(count: number, accepted: number, isWrong: boolean): void {
    this.#balance = Math.min(this.#balance + accepted - count * this.#price, MOST_SAVED);
    if (this.#kind === undefined) return;
    this.#kind.right = this.#kind.right * MEMORY + accepted;
    this.#kind.wrong = this.#kind.wrong * MEMORY + (isWrong ? 1 : 0);
  }
}
