import type { TokenLogprob } from "../protocol/events.ts";
import { Detokenizer } from "./detokenizer.ts";
import type { Piece } from "./pieces.ts";
import { StopMatcher } from "./stop-matcher.ts";

/** A scored token and where its text begins in the choice's text, in UTF-16 units. */
interface Scored {
  readonly start: number;
  readonly logprob: TokenLogprob;
}

/** Text of one choice on its way out: code points completed, stop strings held back. */
export class ChoiceOutput {
  readonly #detokenizer = new Detokenizer();
  readonly #stops: StopMatcher;
  readonly #tellsHidden: boolean;
  #decoded = 0;
  #released = 0;
  #ready = "";
  #scored: Scored[] = [];
  #stop: string | null = null;

  /** @param tellsHidden Tokens without text have scores too. */
  constructor(stops: readonly string[], tellsHidden = false) {
    this.#stops = new StopMatcher(stops);
    this.#tellsHidden = tellsHidden;
  }

  /** The stop string that matched; the text before it is all there will be. */
  get stop(): string | null {
    return this.#stop;
  }

  /** @returns UTF-16 units of text that became ready. */
  push(piece: Piece, logprob: TokenLogprob | null): number {
    const before = this.#ready.length;
    const start = this.#decoded;
    const text = this.#detokenizer.push(piece);
    this.#decoded += text.length;
    if (logprob !== null) {
      // A code point that begins in this token is its text too, once it is complete.
      const end = this.#decoded + (this.#detokenizer.isHolding ? 1 : 0);
      if (end > start && piece.bytes.length > 0) this.#scored.push({ start, logprob });
      else if (this.#tellsHidden) {
        this.#scored.push({ start, logprob: { ...logprob, isHidden: true } });
      }
    }
    if (text !== "") this.#match(text);
    return this.#ready.length - before;
  }

  /** No more tokens come: lets go of what was held, unless a stop string has matched. */
  finish(): void {
    if (this.#stop !== null) return;
    const text = this.#detokenizer.flush();
    this.#decoded += text.length;
    this.#match(text);
    if (this.#stop === null) this.#release(this.#stops.flush());
  }

  /** What became ready since the last call; `logprobs` are those of tokens that begin in `text` or, hidden, end it. */
  take(): { text: string; logprobs: TokenLogprob[] } {
    const text = this.#ready;
    this.#ready = "";
    if (this.#scored.length === 0) return { text, logprobs: [] };
    const held = this.#scored.findIndex(({ start, logprob }) =>
      logprob.isHidden === true ? start > this.#released : start >= this.#released,
    );
    const told = this.#scored.splice(0, held === -1 ? this.#scored.length : held);
    return { text, logprobs: told.map((token) => token.logprob) };
  }

  #match(text: string): void {
    const result = this.#stops.push(text);
    this.#stop = result.hit;
    this.#release(result.text);
  }

  #release(text: string): void {
    this.#released += text.length;
    this.#ready += text;
  }
}
