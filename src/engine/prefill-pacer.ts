/** Prompt tokens that a piece has at least: no prompt starves. */
const LEAST = 4;
/** Before anything was measured; on a slow machine a large model takes seconds for it. */
const FIRST_GUESS = 64;
/**
 * Beside streams one step in so many takes a long piece, the others none. A large piece costs a
 * fraction per token of what small ones do where a row more is a lot of work, and the pauses are rare
 * enough to leave the 95th percentile of the time between tokens as it is.
 */
const BURST_EVERY = 25;
/** Its time: so many steps without prompts, within these bounds. */
const BURST_STEPS = 20;
const BURST_MS = { least: 100, most: 700 } as const;
/** Also when a step takes very long, a long piece is more than that. */
const BURST_LEAST_STEPS = 4;
/**
 * Prompts this short are computed at once, streams or not: one pause of this length costs less than
 * many clients whose first token waits, and a full batch decodes faster per token.
 */
const SHORT_PROMPT_MS = 400;
/** Longest step when nobody streams: the time until a cancel or a newcomer is noticed. */
const ALONE_MS = 1000;
const SMOOTHING = 0.25;
/** Beside streams only a part of the time is the prompt's, and what is left of it varies more. */
const SMOOTHING_BESIDE = 0.15;
/** A size was measured: sizes up to 2^3 times as large are expected to cost no more per token. */
const TRUSTED_DOUBLINGS = 3;

/**
 * How many prompt tokens a step may compute. Beside running streams one step in twenty-five takes
 * a long piece of a prompt. Short prompts are not cut into pieces.
 */
export class PrefillPacer {
  readonly #capacity: number;
  /** Running average in ms of a step without prompts; null = not measured. */
  #decodeMs: number | null = null;
  /** Steps beside streams since the last long piece. */
  #sinceBurst = BURST_EVERY;
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
    if (streams === 0) return Math.min(this.#piece(ALONE_MS), most);
    if (this.#sinceBurst < BURST_EVERY - 1) return 0;
    const decodeMs = this.#decodeMs ?? 0;
    const atLeast = Math.max(decodeMs * BURST_STEPS, BURST_MS.least);
    const atMost = Math.max(decodeMs * BURST_LEAST_STEPS, BURST_MS.most);
    return Math.min(this.#piece(Math.min(atLeast, atMost)), most);
  }

  #piece(targetMs: number): number {
    const tokens = this.#tokensWithin(targetMs);
    return tokens === null ? FIRST_GUESS : Math.max(tokens, LEAST);
  }

  /** Tokens of a prompt that need not be paced, and of all such prompts in one step. */
  get shortPromptTokens(): number {
    return Math.min(this.#tokensWithin(SHORT_PROMPT_MS) ?? 0, this.#capacity);
  }

  /** How long a step with so many prompt tokens is likely to take; 0 before any was measured. */
  estimateMs(promptTokens: number): number {
    return promptTokens === 0 ? 0 : this.#costOf(promptTokens) * promptTokens;
  }

  /** Ms per prompt token in a step with so many of them, by steps of a similar size. */
  #costOf(promptTokens: number): number {
    const wanted = Math.floor(Math.log2(promptTokens));
    const sizes = [...this.#tokenMs.keys()].filter((size) => this.#tokenMs[size] !== undefined);
    const nearest = sizes.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0];
    return nearest === undefined ? 0 : (this.#tokenMs[nearest] ?? 0);
  }

  record(streams: number, promptTokens: number, elapsedMs: number): void {
    if (streams > 0) {
      const isBurst = promptTokens > 0 && this.#sinceBurst >= BURST_EVERY - 1;
      this.#sinceBurst = isBurst ? 0 : this.#sinceBurst + 1;
    }
    if (promptTokens === 0) {
      this.#decodeMs = average(this.#decodeMs, elapsedMs, SMOOTHING);
    } else if (streams === 0 || this.#decodeMs !== null) {
      const promptMs = Math.max(elapsedMs - (streams > 0 ? (this.#decodeMs ?? 0) : 0), 0);
      const size = Math.floor(Math.log2(promptTokens));
      const smoothing = streams > 0 ? SMOOTHING_BESIDE : SMOOTHING;
      const known = this.#tokenMs[size] ?? null;
      this.#tokenMs[size] = average(known, promptMs / promptTokens, smoothing);
    }
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

function average(old: number | null, value: number, smoothing: number): number {
  return old === null ? value : old + (value - old) * smoothing;
}
