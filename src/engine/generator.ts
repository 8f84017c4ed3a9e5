import { assert } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { GenerateJob } from "../protocol/commands.ts";
import { AdapterSets } from "./adapter-sets.ts";
import type {
  CacheLoad,
  DraftCounts,
  EngineLoad,
  EngineStatus,
  SpeculationLoad,
} from "../protocol/events.ts";
import { createArchive } from "./archive/archive-pair.ts";
import { BackgroundSaving } from "./archive/background-saving.ts";
import { Choice } from "./choice.ts";
import { failureEvent } from "./failure.ts";
import type { GeneratorOptions } from "./generator-options.ts";
import { Job } from "./job.ts";
import { KvCache } from "./kv-cache.ts";
import { PrefillPacer } from "./prefill-pacer.ts";
import { PrefixReuse } from "./prefix-reuse.ts";
import { PromptScores } from "./prompt-scores.ts";
import { promptTokens } from "./prompt-tokens.ts";
import { Scheduler, type PackedSlot } from "./scheduler.ts";
import { type Slot, slotStatus, wantsScores } from "./slot.ts";
import { Speculator } from "./speculation/speculator.ts";

/** Prompts with fewer tokens left to compute send no progress. */
const PROGRESS_TOKENS = 1024;

/** The jobs of one generating context, from tokens to text. */
export class Generator {
  readonly #options: GeneratorOptions;
  readonly #kv: KvCache;
  readonly #reuse: PrefixReuse;
  readonly #scheduler: Scheduler;
  readonly #saving: BackgroundSaving | null;
  readonly #pacer: PrefillPacer;
  readonly #adapters: AdapterSets;
  readonly #speculator: Speculator | null;
  /** The choices of each job that is not done. */
  readonly #jobs = new Map<number, readonly Choice[]>();
  readonly #promptScores: PromptScores;
  #ages = 0;
  /** The last decode found no cells. */
  #isStuck = false;
  readonly totals = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };

  constructor(options: GeneratorOptions) {
    const { model, context, parallel, contextLength } = options;
    const { isRecurrent, isHybrid, slidingWindow } = model.facts;
    const windowed = slidingWindow > 0 && slidingWindow < context.contextLength;
    // Memory that cannot be cut can neither share a part nor take a guess back.
    const isDivisible = !isRecurrent && !isHybrid && !windowed;
    assert(contextLength <= context.contextLength, "a request fits into the KV cache");
    this.#options = options;
    this.#adapters = options.adapters ?? new AdapterSets();
    this.#kv = new KvCache(context, options.archive != null && isDivisible);
    const archive = createArchive(options, this.#kv, isDivisible);
    this.#saving = archive === null ? null : new BackgroundSaving(archive, options.clock);
    this.#reuse = new PrefixReuse(this.#kv, { isCuttable: isDivisible, archive });
    const draft = options.draft ?? null;
    assert(
      isDivisible || draft === null,
      "a draft model is loaded where guesses can be taken back",
    );
    this.#speculator =
      isDivisible && (options.speculates || draft !== null)
        ? new Speculator(options.pieces, draft?.drafter)
        : null;
    this.#scheduler = new Scheduler(context, this.#kv, this.#reuse, {
      parallel,
      speculator: this.#speculator,
    });
    this.#pacer = new PrefillPacer(context.batch.capacity);
    this.#promptScores = new PromptScores(context, options.pieces);
  }

  get isIdle(): boolean {
    return this.#scheduler.isIdle;
  }

  get load(): Pick<EngineLoad, "running" | "queued" | "kvCellsUsed" | "kvCells" | "speculation"> {
    const { speculation } = this;
    return {
      ...(speculation.draftedTokens > 0 && { speculation }),
      running: this.#scheduler.slots.length,
      queued: this.#scheduler.queue.length,
      kvCellsUsed: this.#kv.used,
      kvCells: this.#kv.total,
    };
  }

  get speculation(): SpeculationLoad {
    return this.#speculator?.totals ?? { draftedTokens: 0, acceptedTokens: 0 };
  }

  /** Grows with every change of `cacheLoad`. */
  get cacheVersion(): number {
    return this.#reuse.version;
  }

  get cacheLoad(): CacheLoad {
    return this.#reuse.load;
  }

  get status(): EngineStatus {
    const { queued, kvCells, kvCellsUsed } = this.load;
    return {
      slots: this.#scheduler.slots.map(slotStatus),
      parallel: this.#options.parallel,
      queued,
      kvCells,
      kvCellsUsed,
      cache: this.cacheLoad,
      speculation: this.speculation,
    };
  }

  /** How long the prompts in the queue are likely to keep a step busy; stored prefixes not counted. */
  get queuedPrefillMs(): number {
    const tokens = this.#scheduler.queue.reduce((sum, choice) => sum + choice.tokens.length, 0);
    return this.#pacer.estimateMs(tokens);
  }

  /** For tests: sequences in use must equal slots plus stored prefixes. */
  get bookkeeping(): { sequences: number; stored: number; pinnedCells: number } {
    return {
      sequences: this.#kv.openSequences,
      stored: this.#reuse.stored,
      pinnedCells: this.#kv.pinned,
    };
  }

  /** Tokenises and queues a job. @throws LmError when it can never run. */
  submit(jobId: number, spec: GenerateJob, submittedMs: number): void {
    const { model, contextLength } = this.#options;
    const adapters = this.#adapters.of(spec.adapters);
    const prompt = promptTokens(spec.prompt, model.vocabulary, contextLength);
    const grammar = spec.grammar === null ? null : model.createGrammar(spec.grammar.gbnf);
    const limit = Math.min(spec.maxTokens ?? contextLength, contextLength - prompt.length);
    const job = new Job({ id: jobId, spec, prompt, limit, adapters, grammar, submittedMs });
    const choices = Choice.allOf(job, () => this.#ages++);
    this.#jobs.set(jobId, choices);
    this.totals.promptTokens += prompt.length;
    if (limit === 0 && !spec.promptLogprobs) return this.#endUncomputed(job, choices);
    for (const choice of choices) this.#scheduler.enqueue(choice);
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

  /** At most one decode. @returns whether there was one. */
  step(): boolean {
    const { context, clock, governor } = this.#options;
    for (const slot of this.#scheduler.admit(!this.#isStuck)) this.#begun(slot);
    this.#tellRequeued();
    if (this.#scheduler.slots.length === 0) return false;
    const packed = this.#scheduler.pack(this.#pacer);
    const startMs = clock.monotonicMs();
    this.#isStuck = (governor?.decode(context) ?? context.decode()) === "full";
    if (this.#isStuck) {
      const helpless = this.#scheduler.relieve();
      if (helpless !== null) this.#fail(helpless.choice, noRoom());
      return true;
    }
    const streams = packed.filter((part) => part.isDecoding).length;
    const decoded = packed.reduce((sum, { slot, isDecoding }) => {
      return isDecoding ? sum + 1 + slot.drafts.length : sum;
    }, 0);
    const prefilled = context.batch.length - decoded;
    if (prefilled === 0 && this.#speculator !== null) {
      context.logits(packed[0]?.row ?? 0); // a GPU may compute until its logits are asked for
      this.#speculator.recordStep(decoded, clock.monotonicMs() - startMs);
    }
    this.#scheduler.advance(packed);
    for (const part of packed) this.#computed(part);
    this.#pacer.record(streams, prefilled, clock.monotonicMs() - startMs);
    return true;
  }

  /** After a step's events were told: saves a little of what should outlive its cells. */
  saveBeside(): void {
    if (!this.isIdle) this.#saving?.beside();
  }

  /** One piece of work for idle times. @returns when to go on with it; null = there is none. */
  tidy(): Promise<void> | null {
    return this.#saving?.idle() ?? null;
  }

  /** For tests: gives up the cells of the least recently used prefix. */
  evictOne(): boolean {
    return this.#reuse.evictOne();
  }

  /** Before `dispose`, when stored prefixes are to outlive the process. */
  async keepPrefixes(): Promise<void> {
    await this.#saving?.finish();
  }

  dispose(): void {
    for (const choices of this.#jobs.values()) this.#remove(choices);
    this.#reuse.clear();
    this.#speculator?.dispose();
    this.#options.context.dispose();
  }

  /** A slot begins to compute, perhaps again after it lost its cells. */
  #begun(slot: Slot): void {
    const { job, generated } = slot.choice;
    if (wantsScores(slot)) this.#promptScores.begin(job);
    if (generated === 0) job.computedPromptTokens += slot.remaining;
    const { state } = job;
    job.state = "running";
    if (state === "requeued") this.#options.emit({ type: "resumed", jobId: job.id });
    if (state !== "new") return;
    job.markAdmitted(this.#options.clock.monotonicMs());
    this.totals.cachedTokens += slot.cached;
    this.#reuse.count(slot);
    this.#options.emit({
      type: "accepted",
      jobId: job.id,
      promptTokens: job.prompt.length,
      cachedTokens: slot.cached,
    });
  }

  /** Jobs whose last slot is gone while choices of theirs wait: they may be silent for long. */
  #tellRequeued(): void {
    const { queue, slots } = this.#scheduler;
    for (const { job } of queue) {
      if (job.state !== "running" || slots.some(({ choice }) => choice.job === job)) continue;
      job.state = "requeued";
      this.#options.emit({ type: "requeued", jobId: job.id });
    }
  }

  #computed(part: PackedSlot): void {
    const { slot, row, count } = part;
    const { job } = slot.choice;
    // An earlier part of this batch may have failed the whole job.
    if (!this.#jobs.has(job.id)) return;
    if (wantsScores(slot)) {
      const tokens = this.#promptScores.add(slot, row, count);
      if (tokens !== null) {
        this.#options.emit({ type: "promptLogprobs", jobId: job.id, tokens });
      }
    }
    if (slot.remaining > 0) return this.#progress(slot);
    const isPromptEnd = slot.choice.generated === 0;
    try {
      const forks = isPromptEnd ? this.#scheduler.fork(slot) : [];
      for (const each of [slot, ...forks]) this.#sample(each, row + count - 1);
    } catch (error) {
      if (!(error instanceof LmError)) throw error;
      this.#fail(slot.choice, error);
    }
  }

  #fail(choice: Choice, error: LmError): void {
    this.#options.emit(failureEvent(choice.job.id, error));
    this.#remove(choice.siblings);
  }

  #sample(slot: Slot, row: number): void {
    const { choice } = slot;
    const { emit } = this.#options;
    if (choice.budget === 0) choice.endEmpty();
    else this.#sampleTokens(slot, row);
    choice.report(emit);
    if (choice.finish === null) return;
    this.#scheduler.release(slot);
    const isDone = choice.siblings.every((sibling) => sibling.finish !== null);
    if (isDone) this.#finish(choice.job, choice.siblings);
  }

  /** One token, and after each that was guessed right the next, from the guess's own row. */
  #sampleTokens(slot: Slot, row: number): void {
    const { choice, drafts } = slot;
    const { context, pieces, clock } = this.#options;
    let accepted = 0;
    for (let isRight = true; isRight && choice.finish === null;) {
      choice.job.grammarWatch?.start();
      choice.sample(context, row + accepted, pieces);
      choice.job.grammarWatch?.check();
      this.totals.generatedTokens++;
      choice.job.markToken(clock.monotonicMs());
      isRight = choice.tokens.at(choice.tokens.length - 1) === drafts[accepted];
      if (isRight) accepted++;
    }
    this.#scheduler.settle(slot, accepted);
  }

  #progress(slot: Slot): void {
    const { choice, computed, cached } = slot;
    if (choice.generated > 0 || choice.job.prompt.length - cached < PROGRESS_TOKENS) return;
    const total = choice.job.prompt.length;
    this.#options.emit({ type: "progress", jobId: choice.job.id, processed: computed, total });
  }

  /** Nothing is asked for, so nothing is computed. */
  #endUncomputed(job: Job, choices: readonly Choice[]): void {
    const { emit } = this.#options;
    emit({
      type: "accepted",
      jobId: job.id,
      promptTokens: job.prompt.length,
      cachedTokens: 0,
    });
    for (const choice of choices) {
      choice.endEmpty();
      choice.report(emit);
    }
    this.#finish(job, choices);
  }

  #draftCounts({ drafts }: Job): DraftCounts | null {
    const { draft } = this.#options;
    if (draft == null) return null;
    const { drafted: total, accepted, rejected } = drafts;
    return { model: draft.name, total, accepted, rejected, ignored: total - accepted - rejected };
  }

  #finish(job: Job, choices: readonly Choice[]): void {
    const own = job.timings(this.#options.clock.monotonicMs());
    const drafts = this.#draftCounts(job);
    const timings = drafts === null ? own : { ...own, drafts };
    this.#options.emit({ type: "jobDone", jobId: job.id, timings });
    this.#remove(choices);
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

function noRoom(): LmError {
  const message = "The KV cache has no room for this request, though no other uses it";
  return new LmError("internal", {}, message);
}
