/** Prompt tokens per step beside running streams that are always allowed: no prompt starves. */
const LEAST = 4;
/** Before anything was measured; on a slow machine a large model takes seconds for it. */
const FIRST_GUESS = 64;
/** Time for prompts, as a part of the time that the streams take: where the adjustment begins. */
const PROMPT_SHARE = 0.75;
/**
 * The estimate is a mean, and the time between two tokens is to double in one step of twenty at
 * most. So each step that takes longer than this many times a step without prompts makes the share
 * a little smaller, each other one makes it larger by a twenty-fourth of that.
 */
const MOST_STRETCH = 1.85;
const NARROWER = 0.92;
const WIDER = NARROWER ** (-1 / 24);
const SHARES = { least: 0.3, most: 0.85 } as const;
/** Even when decoding is faster than this, prompts get so much time per step. */
const LEAST_PROMPT_MS = 3;
/**
 * Prompts this short are computed at once, streams or not: one pause of this length costs less than
 * many clients whose first token waits, and a full batch decodes faster per token.
 */
const SHORT_PROMPT_MS = 400;
/** Longest step when nobody streams: the time until a cancel or a newcomer is noticed. */
const ALONE_MS = 1000;
const SMOOTHING = 0.25;
/** A size was measured: sizes up to 2^3 times as large are expected to cost no more per token. */
const TRUSTED_DOUBLINGS = 3;

/**
 * How many prompt tokens a step may compute. Beside running streams long prompts get a little less
 * time than the streams, so that the pause between two tokens at most doubles; short ones are not
 * cut into pieces.
 */
export class PrefillPacer {
  readonly #capacity: number;
  /** Running average in ms of a step without prompts; null = not measured. */
  #decodeMs: number | null = null;
  #share = PROMPT_SHARE;
  /**
   * Running averages in ms per prompt token, by the size of the step: index k is for 2^k to
   * 2^(k+1) - 1 tokens. Large steps cost much less per token than small ones.
   */
  readonly #tokenMs: (number | undefined)[] = [];

  /** @param capacity tokens per decode. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @param streams slots that get one token in the same step. */
  allowance(streams: number): number {
    const most = Math.max(this.#capacity - streams, 0);
    const targetMs =
      streams === 0 ? ALONE_MS : Math.max((this.#decodeMs ?? 0) * this.#share, LEAST_PROMPT_MS);
    const tokens = this.#tokensWithin(targetMs);
    return Math.min(tokens === null ? FIRST_GUESS : Math.max(tokens, LEAST), most);
  }

  /** Tokens of a prompt that need not be paced, and of all such prompts in one step. */
  get shortPromptTokens(): number {
    return Math.min(this.#tokensWithin(SHORT_PROMPT_MS) ?? 0, this.#capacity);
  }

  /** How long a step with so many prompt tokens is likely to take; 0 before any was measured. */
  estimateMs(promptTokens: number): number {
    if (promptTokens === 0) return 0;
    const wanted = Math.floor(Math.log2(promptTokens));
    const sizes = [...this.#tokenMs.keys()].filter((size) => this.#tokenMs[size] !== undefined);
    const nearest = sizes.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0];
    return nearest === undefined ? 0 : (this.#tokenMs[nearest] ?? 0) * promptTokens;
  }

  record(streams: number, promptTokens: number, elapsedMs: number): void {
    if (promptTokens === 0) {
      this.#decodeMs = average(this.#decodeMs, elapsedMs);
    } else if (streams === 0 || this.#decodeMs !== null) {
      const promptMs = Math.max(elapsedMs - (streams > 0 ? (this.#decodeMs ?? 0) : 0), 0);
      const size = Math.floor(Math.log2(promptTokens));
      this.#tokenMs[size] = average(this.#tokenMs[size] ?? null, promptMs / promptTokens);
      if (streams > 0 && this.#decodeMs !== null) this.#adjust(elapsedMs / this.#decodeMs);
    }
  }

  #adjust(stretch: number): void {
    const share = this.#share * (stretch > MOST_STRETCH ? NARROWER : WIDER);
    this.#share = Math.min(Math.max(share, SHARES.least), SHARES.most);
  }

  /**
   * Most prompt tokens whose step is expected to take no longer than this. A measured size is
   * trusted up to eight times itself, so the answer grows step by step. null = nothing measured.
   */
  #tokensWithin(targetMs: number): number | null {
    let smallest: number | null = null;
    let most = 0;
    for (const [size, tokenMs] of this.#tokenMs.entries()) {
      if (tokenMs === undefined) continue;
      // A clock too coarse to see a token leaves no limit but the batch.
      const tokens = Math.floor(targetMs / Math.max(tokenMs, Number.EPSILON));
      smallest ??= tokens;
      if (tokens >= 2 ** size)
        most = Math.max(most, Math.min(tokens, 2 ** (size + TRUSTED_DOUBLINGS)));
    }
    return most > 0 ? most : smallest;
  }
}

function average(old: number | null, value: number): number {
  return old === null ? value : old + (value - old) * SMOOTHING;
}
