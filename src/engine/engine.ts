import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import type { Model } from "../llama/backend.ts";
import type { EmbedInput, GenerateJob, JobPrompt } from "../protocol/commands.ts";
import type { CacheLoad, EngineLoad, EngineStatus, JobEvent } from "../protocol/events.ts";
import type { Embedder } from "./embedder.ts";
import { failureEvent } from "./failure.ts";
import type { Generator } from "./generator.ts";
import type { GeneratorOptions } from "./generator-options.ts";
import { countedTokens } from "./prompt-tokens.ts";

/** Time per step for reading newcomers: tokenising and compiling must not stall the streams. */
const INTAKE_MS = 8;

/** A step this long is worth waiting for companions. */
const GATHER_WORTH_MS = 60;
/** For so long, and again while more of them arrive. */
const GATHER_MS = 3;
const GATHER_MOST_MS = 15;

/** Of a model that only embeds. */
const NO_CACHE: CacheLoad = {
  storedSequences: 0,
  treeNodes: 0,
  treeTokens: 0,
  archivedBlocks: 0,
  archivedBytes: 0,
  hits: { running: 0, stored: 0, archive: 0 },
  misses: { off: 0, empty: 0, differs: 0, whole: 0, lost: 0, full: 0, gone: 0 },
};
const NO_STATUS: EngineStatus = {
  slots: [],
  parallel: 0,
  queued: 0,
  kvCells: 0,
  kvCellsUsed: 0,
  cache: NO_CACHE,
  speculation: { draftedTokens: 0, acceptedTokens: 0 },
};

/** Takes what one step produced. */
export type SendStep = (load: EngineLoad, events: readonly JobEvent[]) => void;

export interface EngineParts {
  model: Model;
  clock: Clock;
  send: SendStep;
  /** null for a model that only embeds. */
  createGenerator: ((emit: GeneratorOptions["emit"]) => Generator) | null;
  /** @param wake to be called when there is something to do that nobody submitted. */
  createEmbedder: (emit: GeneratorOptions["emit"], wake: () => void) => Embedder;
}

/**
 * Everything one loaded model does. Jobs come in by `generate`, `embed`, `tokenize`, `inspect`;
 * each gets exactly one terminal event. `run` decides when to step; `step` is bounded and
 * synchronous.
 */
export class Engine {
  readonly #parts: EngineParts;
  readonly #generator: Generator | null;
  readonly #embedder: Embedder;
  /** Newcomers by job id, in order of arrival. */
  readonly #intake = new Map<number, () => void>();
  #events: JobEvent[] = [];
  #steps = 0;
  #wake: () => void = () => undefined;
  #isPaused = false;
  #toldCacheVersion = -1;

  constructor(parts: EngineParts) {
    const emit = (event: JobEvent): void => void this.#events.push(event);
    this.#parts = parts;
    this.#generator = parts.createGenerator?.(emit) ?? null;
    this.#embedder = parts.createEmbedder(emit, () => this.#wake());
  }

  /** Nothing to compute and nothing to tell. */
  get isIdle(): boolean {
    return (
      this.#intake.size === 0 &&
      this.#events.length === 0 &&
      this.#embedder.isIdle &&
      (this.#generator?.isIdle ?? true)
    );
  }

  /** What there is to compute is being computed beside this thread. */
  get #isWaiting(): boolean {
    if (this.#intake.size > 0 || this.#events.length > 0) return false;
    return this.#embedder.isWaiting && (this.#generator?.isIdle ?? true);
  }

  /** The generating half, null for a model that only embeds. */
  get generator(): Generator | null {
    return this.#generator;
  }

  generate(jobId: number, job: GenerateJob): void {
    const submittedMs = this.#parts.clock.monotonicMs();
    this.#receive(jobId, () => {
      if (this.#generator === null) {
        throw new LmError("unsupported_model", { model: "" }, "This model cannot generate text");
      }
      this.#generator.submit(jobId, job, submittedMs);
    });
  }

  embed(jobId: number, inputs: readonly EmbedInput[]): void {
    this.#receive(jobId, () => this.#embedder.submit(jobId, inputs));
  }

  tokenize(jobId: number, prompt: JobPrompt): void {
    this.#receive(jobId, () => {
      const tokens = countedTokens(prompt, this.#parts.model.vocabulary);
      this.#events.push({ type: "tokenized", jobId, tokens: Array.from(tokens) });
    });
  }

  /** Answered with the next step, by what the engine does then. */
  inspect(jobId: number): void {
    this.#receive(jobId, () => {
      this.#events.push({ type: "inspected", jobId, status: this.status });
    });
  }

  /** Takes effect at once. A job that already ended, or never was, is ignored. */
  cancel(jobId: number): void {
    const stage = this.#intake.delete(jobId)
      ? "queue"
      : (this.#generator?.cancel(jobId) ?? this.#embedder.cancel(jobId));
    if (stage === null) return;
    this.#events.push({ type: "cancelled", jobId, stage, step: this.#steps });
    this.#wake();
  }

  /** Stops stepping, for a server that does not read. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#wake();
  }

  /** Steps while there is work, sleeps while there is none. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake());
    while (!signal.aborted) {
      if (this.isIdle || this.#isPaused || this.#isWaiting) {
        await this.#rest();
        await this.#gather();
        continue;
      }
      this.step();
      // A decode blocks this thread: let messages and aborts in.
      await nextTurn();
    }
  }

  /** Until there is work; meanwhile does what is left for idle times. */
  async #rest(): Promise<void> {
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    const tidied = this.isIdle ? (this.#generator?.tidy() ?? null) : null;
    if (tidied === null && this.isIdle && !this.#isPaused) this.#tellTidied();
    await (tidied === null ? woken : Promise.race([woken, tidied]));
  }

  /**
   * Requests sent together arrive a millisecond apart. When the first of them would occupy a long
   * step, waiting for the others lets one step compute all their prompts.
   */
  async #gather(): Promise<void> {
    let known = -1;
    for (let waitedMs = 0; waitedMs < GATHER_MOST_MS; waitedMs += GATHER_MS) {
      this.#admitNewcomers();
      const queued = this.#generator?.load.queued ?? 0;
      if (queued <= known || (this.#generator?.queuedPrefillMs ?? 0) < GATHER_WORTH_MS) return;
      known = queued;
      await new Promise<void>((resolve) => this.#parts.clock.after(GATHER_MS, resolve));
    }
  }

  /** One round: newcomers, one decode for generation, one for embeddings, one message. */
  step(): void {
    this.#admitNewcomers();
    const isGenerating = this.#generator?.step() ?? false;
    const isEmbedding = this.#embedder.step(isGenerating);
    const hasDecoded = isGenerating || isEmbedding;
    if (hasDecoded) this.#steps++;
    if (!hasDecoded && this.#events.length === 0) return;
    const events = this.#events;
    this.#events = [];
    this.#parts.send({ ...this.load, ...this.#changedCache() }, events);
    if (isGenerating) this.#generator?.saveBeside();
  }

  /** No step tells what idle times did to the prefix cache. */
  #tellTidied(): void {
    const changed = this.#changedCache();
    if (changed !== null) this.#parts.send({ ...this.load, ...changed }, []);
  }

  /** What it is doing, in detail. */
  get status(): EngineStatus {
    return this.#generator?.status ?? NO_STATUS;
  }

  get load(): EngineLoad {
    const load = this.#generator?.load ?? { running: 0, queued: 0, kvCellsUsed: 0, kvCells: 0 };
    const totals = this.#generator?.totals ?? {
      promptTokens: 0,
      cachedTokens: 0,
      generatedTokens: 0,
    };
    const queued = load.queued + this.#embedder.queued + this.#intake.size;
    return { step: this.#steps, ...load, queued, ...totals };
  }

  /** The prefix cache, when it changed since it was told. */
  #changedCache(): { cache: CacheLoad } | null {
    const generator = this.#generator;
    if (generator === null || generator.cacheVersion === this.#toldCacheVersion) return null;
    this.#toldCacheVersion = generator.cacheVersion;
    return { cache: generator.cacheLoad };
  }

  /** Before `dispose`: until nothing computes beside this thread and stored prefixes are kept. */
  async finish(): Promise<void> {
    await this.#embedder.rest();
    await this.#generator?.keepPrefixes();
  }

  /** Frees the contexts and the model. Jobs still running end without a word. */
  dispose(): void {
    this.disposeContexts();
    this.#parts.model.dispose();
  }

  /** Frees the contexts; the model can serve another engine. */
  disposeContexts(): void {
    this.#generator?.dispose();
    this.#embedder.dispose();
  }

  #receive(jobId: number, begin: () => void): void {
    assert(!this.#intake.has(jobId), `job ${jobId} was submitted twice`);
    this.#intake.set(jobId, begin);
    this.#wake();
  }

  #admitNewcomers(): void {
    if (this.#intake.size === 0) return;
    const deadlineMs = this.#parts.clock.monotonicMs() + INTAKE_MS;
    for (const [jobId, begin] of this.#intake) {
      this.#intake.delete(jobId);
      try {
        begin();
      } catch (error) {
        if (!(error instanceof LmError)) throw error;
        this.#events.push(failureEvent(jobId, error));
      }
      if (this.#parts.clock.monotonicMs() >= deadlineMs) return;
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
