import type { TokenLogprob } from "../../protocol/events.ts";
import type { LegacyLogprobs } from "./response.schema.ts";
import { finiteLogprob } from "./stamp.ts";

/**
 * Log probabilities in the form of /v1/completions: parallel arrays, offsets in code points of the
 * returned text. Offsets are counted on the tokens' bytes, since a token may hold part of a code
 * point.
 */
export class LegacyLogprobWriter {
  readonly #decoder = new TextDecoder();
  #offset = 0;

  /** Text that is in the answer without tokens of its own. */
  skip(text: string): void {
    this.#offset += codePoints(text);
  }

  /** @param unscored The first token is the first of all: nothing came before to predict it. */
  write(tokens: readonly TokenLogprob[], unscored = false): LegacyLogprobs {
    const written: LegacyLogprobs = {
      tokens: [],
      token_logprobs: [],
      top_logprobs: [],
      text_offset: [],
    };
    for (const [index, token] of tokens.entries()) {
      const isUnscored = unscored && index === 0;
      written.tokens.push(token.text);
      written.token_logprobs.push(isUnscored ? null : finiteLogprob(token.logprob));
      written.top_logprobs.push(isUnscored ? null : topOf(token));
      written.text_offset.push(this.#offset);
      // Nothing of it is in the answer's text.
      if (token.isHidden === true) continue;
      this.skip(this.#decoder.decode(Uint8Array.from(token.bytes), { stream: true }));
    }
    return written;
  }
}

/** The best candidates and the token itself; of two with one text the likelier one stays. */
function topOf(token: TokenLogprob): Record<string, number> {
  const top = new Map<string, number>();
  for (const candidate of [...token.top, token]) {
    if (!top.has(candidate.text)) top.set(candidate.text, finiteLogprob(candidate.logprob));
  }
  return Object.fromEntries(top);
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Appends `more` to `all` in place. */
export function appendLogprobs(all: LegacyLogprobs, more: LegacyLogprobs): void {
  all.tokens.push(...more.tokens);
  all.token_logprobs.push(...more.token_logprobs);
  all.top_logprobs.push(...more.top_logprobs);
  all.text_offset.push(...more.text_offset);
}
