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

  /** `text` is the next of the output and that of the tokens together. */
  push(text: string, logprobs: readonly TokenLogprob[]): void {
    const offset = this.#length;
    this.#length += text.length;
    const spans = spansByText(text, logprobs) ?? spansByBytes(text, logprobs);
    logprobs.forEach((logprob, index) => {
      // Where nobody knows, each stands in all of it.
      const { start, end } = spans?.[index] ?? { start: 0, end: text.length };
      this.#waiting.push({ start: offset + start, end: offset + end, logprob });
    });
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

/** Where each token stands in `text`; null where their own texts are not exactly that. */
function spansByText(text: string, logprobs: readonly TokenLogprob[]): TextSpan[] | null {
  let end = 0;
  let all = "";
  const spans = logprobs.map(({ text: own, isHidden }) => {
    const start = end;
    if (isHidden === true) return { start, end };
    all += own;
    return { start, end: (end += own.length) };
  });
  return all === text ? spans : null;
}

/** As `spansByText`, where a token may be a part of a character: it stands in all of this. */
function spansByBytes(text: string, logprobs: readonly TokenLogprob[]): TextSpan[] | null {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let all = "";
  const spans = logprobs.map(({ bytes, isHidden }) => {
    const start = all.length;
    if (isHidden === true) return { start, end: start };
    all += decoder.decode(Uint8Array.from(bytes), { stream: true });
    return { start, end: Math.max(all.length, start + 1) };
  });
  return all === text ? spans : null;
}
