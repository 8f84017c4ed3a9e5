import { LmError } from "../lib/errors.ts";
import type { GenerateJob } from "../protocol/commands.ts";
import type { CacheLoad, EngineLoad, EngineStatus, SpeculationLoad } from "../protocol/events.ts";
import type { BackgroundSaving } from "./archive/background-saving.ts";
import type { GeneratorOptions } from "./generator-options.ts";
import { createGeneratorParts } from "./generator-parts.ts";
import type { KvCache } from "./kv-cache.ts";
import { OpenJobs } from "./open-jobs.ts";
import { PrefillPacer } from "./prefill-pacer.ts";
import type { PrefixReuse } from "./prefix-reuse.ts";
import { PromptScores } from "./prompt-scores.ts";
import type { PackedSlot, Scheduler } from "./scheduler.ts";
import { type Slot, slotStatus, wantsScores } from "./slot.ts";
import type { Speculator } from "./speculation/speculator.ts";

/** One generating context: what its jobs compute in each step, and the tokens they sample. */
export class Generator {
  readonly #options: GeneratorOptions;
  readonly #kv: KvCache;
  readonly #reuse: PrefixReuse;
  readonly #scheduler: Scheduler;
  readonly #saving: BackgroundSaving | null;
  readonly #speculator: Speculator | null;
  readonly #pacer: PrefillPacer;
  readonly #promptScores: PromptScores;
  readonly #jobs: OpenJobs;
  /** Of all jobs so far. */
  readonly totals: OpenJobs["totals"];
  /** The last decode found no cells. */
  #isStuck = false;

  /** @param parts made of the same options. */
  constructor(options: GeneratorOptions, parts = createGeneratorParts(options)) {
    this.#options = options;
    this.#kv = parts.kv;
    this.#reuse = parts.reuse;
    this.#scheduler = parts.scheduler;
    this.#saving = parts.saving;
    this.#speculator = parts.speculator;
    this.#pacer = new PrefillPacer(options.context.batch.capacity);
    this.#promptScores = new PromptScores(options.context, options.pieces);
    this.#jobs = new OpenJobs(options, parts.scheduler, this.#promptScores);
    this.totals = this.#jobs.totals;
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

  /** Tokenises and queues a job. @throws LmError when it can never run. */
  submit(jobId: number, spec: GenerateJob, submittedMs: number): void {
    for (const choice of this.#jobs.open(jobId, spec, submittedMs)) this.#scheduler.enqueue(choice);
  }

  /** Where the job was when it was stopped, or null when it is not here. */
  cancel(jobId: number): "queue" | "prefill" | "decode" | null {
    return this.#jobs.cancel(jobId);
  }

  /** At most one decode. @returns whether there was one. */
  step(): boolean {
    const { context, clock, governor } = this.#options;
    for (const slot of this.#scheduler.admit(!this.#isStuck)) this.#begun(slot);
    this.#jobs.tellRequeued();
    if (this.#scheduler.slots.length === 0) return false;
    const packed = this.#scheduler.pack(this.#pacer);
    const startMs = clock.monotonicMs();
    this.#isStuck = (governor?.decode(context) ?? context.decode()) === "full";
    if (this.#isStuck) {
      const helpless = this.#scheduler.relieve();
      if (helpless !== null) this.#jobs.fail(helpless.choice, noRoom());
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

  /** Before `dispose`, when stored prefixes are to outlive the process. */
  async keepPrefixes(): Promise<void> {
    await this.#saving?.finish();
  }

  dispose(): void {
    this.#jobs.dispose();
    this.#reuse.clear();
    this.#speculator?.dispose();
    this.#options.context.dispose();
  }

  /** A slot begins to compute, perhaps again after it lost its cells. */
  #begun(slot: Slot): void {
    const { job, generated } = slot.choice;
    if (wantsScores(slot)) this.#promptScores.begin(job);
    if (generated === 0) job.computedPromptTokens += slot.remaining;
    if (job.state === "new") this.#reuse.count(slot);
    this.#jobs.begun(slot);
  }

  #computed(part: PackedSlot): void {
    const { slot, row, count } = part;
    const { job } = slot.choice;
    // An earlier part of this batch may have failed the whole job.
    if (!this.#jobs.has(job)) return;
    if (wantsScores(slot)) {
      const tokens = this.#promptScores.add(slot, row, count);
      if (tokens !== null) {
        this.#options.emit({ type: "promptLogprobs", jobId: job.id, tokens });
      }
    }
    if (slot.remaining > 0) return this.#jobs.tellProgress(slot);
    const isPromptEnd = slot.choice.generated === 0;
    try {
      const forks = isPromptEnd ? this.#scheduler.fork(slot) : [];
      for (const each of [slot, ...forks]) this.#sample(each, row + count - 1);
    } catch (error) {
      if (!(error instanceof LmError)) throw error;
      this.#jobs.fail(slot.choice, error);
    }
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
    if (isDone) this.#jobs.finish(choice.job, choice.siblings);
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
}

function noRoom(): LmError {
  const message = "The KV cache has no room for this request, though no other uses it";
  return new LmError("internal", {}, message);
}
