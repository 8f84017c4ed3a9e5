import { assert, defined } from "../lib/assert.ts";
import type { ModelContext, Sampler } from "../llama/backend.ts";
import type { EngineFinish, JobEvent } from "../protocol/events.ts";
import { ChoiceOutput } from "./choice-output.ts";
import { GrammarGate } from "./grammar-gate.ts";
import type { Job } from "./job.ts";
import { scoreToken } from "./logprobs.ts";
import type { PieceTable } from "./pieces.ts";
import { TokenBuffer } from "./token-buffer.ts";

const NO_TEXT = { bytes: new Uint8Array(0), text: "" };

/**
 * One completion of a job: its tokens, sampler and text. It owns nothing in the KV cache, so a slot
 * can be taken from it and given back later without its client noticing.
 */
export class Choice {
  readonly job: Job;
  readonly index: number;
  /** Every choice of the job in order, this one included. */
  readonly siblings: readonly Choice[];
  /** Order of arrival; smaller is older. */
  readonly age: number;
  /** The prompt and everything generated. */
  readonly tokens: TokenBuffer;
  readonly #output: ChoiceOutput;
  #sampler: Sampler | null = null;
  #gate: GrammarGate | null = null;
  #generated = 0;
  /** UTF-16 units that each token brought since the last report. */
  #unreported: number[] = [];
  #logprobSum = 0;
  #finish: EngineFinish | null = null;

  private constructor(job: Job, siblings: readonly Choice[], age: number) {
    this.job = job;
    this.siblings = siblings;
    this.index = siblings.length;
    this.age = age;
    this.tokens = new TokenBuffer(job.prompt, Math.min(job.limit, 256));
    this.#output = new ChoiceOutput(job.spec.stops, job.spec.hiddenLogprobs);
  }

  /** The choices of a new job; `nextAge` grows with every call. */
  static allOf(job: Job, nextAge: () => number): readonly Choice[] {
    const choices: Choice[] = [];
    while (choices.length < job.spec.choices) choices.push(new Choice(job, choices, nextAge()));
    return choices;
  }

  get generated(): number {
    return this.#generated;
  }

  get finish(): EngineFinish | null {
    return this.#finish;
  }

  /** Tokens that may still be generated. */
  get budget(): number {
    return this.job.limit - this.#generated;
  }

  /**
   * Chooses the next token from the logits of `row` and appends it to the text.
   * @throws LmError when the sampler cannot be made, or cannot choose.
   */
  sample(context: ModelContext, row: number, pieces: PieceTable): void {
    assert(this.#finish === null && this.budget > 0, "a finished choice samples no more");
    const sampler = (this.#sampler ??= this.#createSampler(context));
    const token = sampler.sample(row);
    sampler.accept(token);
    this.tokens.push(token);
    this.#generated++;
    const { logprobs } = this.job.spec;
    const scored =
      logprobs === null ? null : scoreToken(context.logits(row), token, logprobs, pieces);
    this.#logprobSum += scored?.logprob ?? 0;
    if (pieces.isEndOfGeneration(token)) {
      this.#unreported.push(this.#output.push(NO_TEXT, scored));
      return this.#end("stop");
    }
    const piece = pieces.get(token);
    this.#gate?.push(piece);
    const isHidden = pieces.isControl(token) && !this.job.keepSpecial.has(pieces.text(token));
    this.#unreported.push(this.#output.push(isHidden ? NO_TEXT : piece, scored));
    if (this.#output.stop !== null) this.#end("stop");
    else if (this.budget === 0) this.#end("length");
  }

  /** Ends a choice that may not generate at all. */
  endEmpty(): void {
    assert(this.#generated === 0, "only an empty choice ends empty");
    this.#end("length");
  }

  /** Tells what happened since the last call. */
  report(emit: (event: JobEvent) => void): void {
    const { text, logprobs } = this.#output.take();
    if (text !== "" || logprobs.length > 0) {
      const sizes = this.#unreported;
      const event = {
        type: "text",
        jobId: this.job.id,
        choice: this.index,
        text,
        tokens: sizes.length,
        ...(sizes.length > 1 && { sizes }),
      } as const;
      this.#unreported = [];
      emit(this.job.spec.logprobs === null ? event : { ...event, logprobs });
    }
    if (this.#finish === null) return;
    const isScored = this.job.spec.logprobs !== null && this.#generated > 0;
    emit({
      type: "choiceDone",
      jobId: this.job.id,
      choice: this.index,
      finish: this.#finish,
      stop: this.#output.stop,
      completionTokens: this.#generated,
      meanLogprob: isScored ? this.#logprobSum / this.#generated : null,
    });
  }

  dispose(): void {
    this.#gate?.dispose();
    this.#gate = null;
    this.#sampler?.dispose();
    this.#sampler = null;
  }

  #end(finish: EngineFinish): void {
    this.#output.finish();
    // The last bytes can complete a stop string.
    this.#finish = this.#output.stop === null ? finish : "stop";
    this.dispose();
  }

  #createSampler(context: ModelContext): Sampler {
    const { spec, grammar, prompt } = this.job;
    const sampler = context.createSampler(spec.sampling, this.index, prompt);
    if (spec.grammar !== null) {
      const template = defined(grammar, "a job with a grammar has it compiled");
      this.#gate = new GrammarGate(spec.grammar.attach, template.clone(), sampler);
    }
    return sampler;
  }
}
