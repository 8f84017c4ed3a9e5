import { assert } from "../lib/assert.ts";
import type { LmError } from "../lib/errors.ts";
import type { GenerateJob } from "../protocol/commands.ts";
import type { DraftCounts } from "../protocol/events.ts";
import { AdapterSets } from "./adapter-sets.ts";
import { Choice } from "./choice.ts";
import { failureEvent } from "./failure.ts";
import type { GeneratorOptions } from "./generator-options.ts";
import { Job } from "./job.ts";
import type { PromptScores } from "./prompt-scores.ts";
import { promptTokens } from "./prompt-tokens.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Slot } from "./slot.ts";

/** Prompts with fewer tokens left to compute send no progress. */
const PROGRESS_TOKENS = 1024;

/** The jobs that are not done, and what their clients are told of them but for the text. */
export class OpenJobs {
  readonly #options: GeneratorOptions;
  readonly #scheduler: Scheduler;
  readonly #promptScores: PromptScores;
  readonly #adapters: AdapterSets;
  /** The choices of each, by its id. */
  readonly #jobs = new Map<number, readonly Choice[]>();
  #ages = 0;
  /** Of all jobs so far. */
  readonly totals = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };

  constructor(options: GeneratorOptions, scheduler: Scheduler, promptScores: PromptScores) {
    this.#options = options;
    this.#scheduler = scheduler;
    this.#promptScores = promptScores;
    this.#adapters = options.adapters ?? new AdapterSets();
  }

  has(job: Job): boolean {
    return this.#jobs.has(job.id);
  }

  /**
   * Tokenises a job. One of which nothing is asked ends at once.
   * @returns the choices that are to be computed.
   * @throws LmError when it can never run.
   */
  open(jobId: number, spec: GenerateJob, submittedMs: number): readonly Choice[] {
    const { model, contextLength, clock } = this.#options;
    const adapters = this.#adapters.of(spec.adapters);
    const prompt = promptTokens(spec.prompt, model.vocabulary, contextLength);
    const grammar = spec.grammar === null ? null : model.createGrammar(spec.grammar.gbnf);
    const limit = Math.min(spec.maxTokens ?? contextLength, contextLength - prompt.length);
    const job = new Job({ id: jobId, spec, prompt, limit, adapters, grammar, submittedMs, clock });
    const choices = Choice.allOf(job, () => this.#ages++);
    this.#jobs.set(jobId, choices);
    this.totals.promptTokens += prompt.length;
    if (limit > 0 || spec.promptLogprobs) return choices;
    this.#endUncomputed(job, choices);
    return [];
  }

  /** Where the job was when it was stopped, or null when it is not here. */
  cancel(jobId: number): "queue" | "prefill" | "decode" | null {
    const choices = this.#jobs.get(jobId);
    if (choices === undefined) return null;
    const hasSlot = this.#scheduler.slots.some((slot) => choices.includes(slot.choice));
    const hasBegun = choices.some((choice) => choice.generated > 0);
    this.#remove(choices);
    return hasBegun ? "decode" : hasSlot ? "prefill" : "queue";
  }

  /** A slot of the job begins to compute, perhaps again after it lost its cells. */
  begun({ choice: { job }, cached }: Slot): void {
    const { state } = job;
    job.state = "running";
    if (state === "requeued") this.#options.emit({ type: "resumed", jobId: job.id });
    if (state !== "new") return;
    job.markAdmitted(this.#options.clock.monotonicMs());
    this.totals.cachedTokens += cached;
    this.#tellAccepted(job, cached);
  }

  /** Jobs whose last slot is gone while choices of theirs wait: they may be silent for long. */
  tellRequeued(): void {
    const { queue, slots } = this.#scheduler;
    for (const { job } of queue) {
      if (job.state !== "running" || slots.some(({ choice }) => choice.job === job)) continue;
      job.state = "requeued";
      this.#options.emit({ type: "requeued", jobId: job.id });
    }
  }

  /** How far a long prompt is. */
  tellProgress({ choice, computed, cached }: Slot): void {
    if (choice.generated > 0 || choice.job.prompt.length - cached < PROGRESS_TOKENS) return;
    const total = choice.job.prompt.length;
    this.#options.emit({ type: "progress", jobId: choice.job.id, processed: computed, total });
  }

  /** Ends the job of a choice that cannot go on, with all its choices. */
  fail(choice: Choice, error: LmError): void {
    this.#options.emit(failureEvent(choice.job.id, error));
    this.#remove(choice.siblings);
  }

  /** Ends a job whose choices have all ended. */
  finish(job: Job, choices: readonly Choice[]): void {
    const own = job.timings(this.#options.clock.monotonicMs());
    const drafts = this.#draftCounts(job);
    const timings = drafts === null ? own : { ...own, drafts };
    this.#options.emit({ type: "jobDone", jobId: job.id, timings });
    this.#remove(choices);
  }

  /** Ends all without a word. */
  dispose(): void {
    for (const choices of this.#jobs.values()) this.#remove(choices);
  }

  /** Nothing is asked for, so nothing is computed. */
  #endUncomputed(job: Job, choices: readonly Choice[]): void {
    this.#tellAccepted(job, 0);
    for (const choice of choices) {
      choice.endEmpty();
      choice.report(this.#options.emit);
    }
    this.finish(job, choices);
  }

  #tellAccepted(job: Job, cachedTokens: number): void {
    const tokens = job.prompt.length;
    this.#options.emit({ type: "accepted", jobId: job.id, promptTokens: tokens, cachedTokens });
  }

  #draftCounts({ drafts }: Job): DraftCounts | null {
    const { draft } = this.#options;
    if (draft == null) return null;
    const { drafted: total, accepted, rejected } = drafts;
    return { model: draft.name, total, accepted, rejected, ignored: total - accepted - rejected };
  }

  #remove(choices: readonly Choice[]): void {
    const job = choices[0]?.job;
    assert(job !== undefined, "a job has choices");
    for (const choice of choices) {
      this.#scheduler.withdraw(choice);
      choice.dispose();
    }
    this.#jobs.delete(job.id);
    this.#promptScores.forget(job);
    job.dispose();
  }
}
