import type { TokenLogprob } from "../protocol/events.ts";
import type { TextSpan } from "./parser/text-span.ts";

/** A token and where its text stands in the output. */
interface PlacedToken extends TextSpan {
  readonly logprob: TokenLogprob;
}

/**
 * Log probabilities of one choice, until the parser has told which of the output is the answer's
 * text: those of reasoning, calls, marks and dropped whitespace are not told. Hidden tokens, where
 * they are asked for, come with the text before them, or behind all of it.
 */
export class AnswerScores {
  /** Of the whole output so far, in UTF-16 units. */
  #length = 0;
  #waiting: PlacedToken[] = [];

  /**
   * `text` is the next of the output and that of the tokens together; where their own texts are not
   * exactly it, as with parts of a character, each of them stands in all of it.
   */
  push(text: string, logprobs: readonly TokenLogprob[]): void {
    const isExact = logprobs.map(visibleText).join("") === text;
    let start = this.#length;
    this.#length += text.length;
    for (const logprob of logprobs) {
      const end = isExact ? start + visibleText(logprob).length : this.#length;
      this.#waiting.push({ start, end, logprob });
      if (isExact) start = end;
    }
  }

  /** The tokens with text in `spans`, which are told now. What stands before them is forgotten. */
  take(spans: readonly TextSpan[]): TokenLogprob[] {
    const last = spans.at(-1);
    if (last === undefined || this.#waiting.length === 0) return [];
    const isTold = (token: PlacedToken): boolean =>
      isEmpty(token) ? token.start <= last.end : spans.some((span) => overlaps(token, span));
    const told = this.#waiting.filter(isTold);
    this.#waiting = this.#waiting.filter((token) => token.start >= last.end && !isTold(token));
    return told.map(({ logprob }) => logprob);
  }

  /** The hidden tokens behind all text, when there will be no more of it. */
  takeHidden(): TokenLogprob[] {
    const told = this.#waiting.filter(isEmpty);
    this.#waiting = [];
    return told.map(({ logprob }) => logprob);
  }

  /** Nothing that was pushed before the last `text` will be told. */
  forgetBefore(text: string): void {
    const start = this.#length - text.length;
    this.#waiting = this.#waiting.filter((token) => token.end > start);
  }
}

const isEmpty = ({ start, end }: TextSpan): boolean => start === end;

const overlaps = (one: TextSpan, other: TextSpan): boolean =>
  one.start < other.end && other.start < one.end;

/** What of a token is in the output. */
const visibleText = ({ text, isHidden }: TokenLogprob): string => (isHidden === true ? "" : text);
