import { computeThreads } from "../lib/compute-threads.ts";
import { mayHaveGpu } from "../lib/graphics-devices.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import { planAdmission, type Resident } from "./admission.ts";
import { checkDraft } from "./draft-check.ts";
import { demandOf, NOTHING, sumOf, totalOf, type Availability } from "./demand.ts";
import { automaticContext, estimateMemory } from "./fit.ts";
import { memoryState } from "./free-memory.ts";
import type { ModelInstance } from "./instance.ts";
import { insufficientMemory } from "./memory-refusal.ts";
import type { LoadDefaults } from "./pool.ts";
import { Reservations } from "./reservations.ts";
import { waitFor } from "../lib/wait.ts";

export interface MemoryGateOptions {
  /** Loading by request keeps at most one such model of each kind. */
  keepLastJit: boolean;
  /** Bytes all models together may need; null = what the machine has. */
  memoryLimitBytes: number | null;
  /** Main memory free for models now; null = unknown, then it refuses nothing. Replaced by tests. */
  availableBytes?: (heldBytes: number, promisedBytes: number) => number | null;
  /** Memory free on all GPUs together, 0 without one; null = unknown, then no memory refuses. */
  gpuFreeBytes?: () => Promise<number | null>;
}

/** Lets models into memory: decides about one at a time, and makes room or refuses it with the numbers. */
export class MemoryGate {
  readonly #options: MemoryGateOptions;
  readonly #reservations = new Reservations<ModelInstance>();
  #last: Promise<void> = Promise.resolve();

  constructor(options: MemoryGateOptions) {
    this.#options = options;
  }

  /**
   * Gives `instance` its place and runs `start` when those who held it have left. Others get theirs
   * meanwhile.
   * @param instances all there are, asked when it is this model's turn.
   * @param signal gives the place back, and lets stay whoever was to leave for it alone.
   * @throws LmError insufficient_memory, invalid_request of a draft model; whatever `start` throws; `signal.reason` when aborted.
   */
  async enter<Started>(
    instance: ModelInstance,
    load: LoadDefaults,
    instances: () => readonly ModelInstance[],
    signal: AbortSignal,
    start: (options: LoadOptions) => Started,
  ): Promise<Started> {
    try {
      const reserve = () => this.#reserve(instance, load, instances, signal);
      const { options, freed } = await waitFor(this.#inTurn(reserve), signal);
      await waitFor(freed, signal);
      return start(options);
    } catch (error) {
      instance.demand = NOTHING;
      for (const other of this.#reservations.awaitedBy(instance)) other.stayFor(instance);
      throw error;
    } finally {
      this.#reservations.delete(instance);
    }
  }

  /** Nobody looks at the memory while another decides about it. */
  async #inTurn<T>(decide: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const decided = Promise.withResolvers<void>();
    this.#last = decided.promise;
    try {
      await before;
      return await decide();
    } finally {
      decided.resolve();
    }
  }

  async #reserve(
    instance: ModelInstance,
    load: LoadDefaults,
    instances: () => readonly ModelInstance[],
    signal: AbortSignal,
  ): Promise<{ options: LoadOptions; freed: Promise<unknown> }> {
    const { model } = instance;
    const gpuFree = await this.#gpuFreeBytes(load);
    signal.throwIfAborted();
    const residents = instances().filter((other) => other.demand !== NOTHING);
    const capacity = this.#capacity(residents, gpuFree);
    const available = (left: readonly ModelInstance[]) =>
      this.#reservations.available(capacity, residents, left);
    const isReplaced = (other: ModelInstance) =>
      this.#options.keepLastJit && instance.jit && other.jit && other.model.kind === model.kind;
    const roomy = available(residents.filter(isReplaced));
    const purpose = model.kind === "embedding" ? "embed" : "generate";
    const fit = { ...load, threads: computeThreads(load.threads), purpose } as const;
    const mostBytes = Math.min(roomy.totalBytes, totalOf(roomy));
    const contextLength = load.contextLength ?? automaticContext(model, fit, mostBytes);
    if (load.draft !== undefined) checkDraft(model, load.draft.model, contextLength);
    const estimate = estimateMemory(model, { ...fit, contextLength });
    // A cache that stays in main memory belongs to no layer.
    const layered = load.kvOnGpu === false ? { ...estimate, kvBytes: 0 } : estimate;
    const plan = planAdmission({
      needed: ({ gpuBytes }) =>
        demandOf(model, layered, load.gpuLayers, gpuFree === null ? 0 : gpuBytes),
      jit: instance.jit,
      kind: model.kind,
      available: (left) => available(left.map((resident) => resident.instance)),
      residents: residents.map((resident) => asResident(resident)),
      keepLastJit: this.#options.keepLastJit,
    });
    if (plan.kind === "refuse") throw insufficientMemory(model, plan.demand, plan.available);
    const victims = plan.victims.map((victim) => victim.instance);
    instance.demand = plan.demand;
    this.#reservations.add(instance, victims);
    // Asked for at once: a victim that loads anew is free for this one only before.
    const freed = Promise.all(victims.map((victim) => victim.makeWayFor(instance)));
    return {
      options: { ...toOptions(load), contextLength, purpose, modelPath: model.path },
      freed,
    };
  }

  /** 0 where no layer may or can go to a GPU, null where nobody knows what is free there. */
  async #gpuFreeBytes({ gpuLayers }: LoadDefaults): Promise<number | null> {
    if (gpuLayers === "off") return 0;
    const { gpuFreeBytes } = this.#options;
    if (gpuFreeBytes !== undefined) return await gpuFreeBytes();
    return mayHaveGpu() ? null : 0;
  }

  /** Of all models together. Engines that still load have not taken what they will. */
  #capacity(residents: readonly ModelInstance[], gpuFree: number | null): Availability {
    const { memoryLimitBytes, availableBytes = freeBytes } = this.#options;
    const present = residents.filter((resident) => !this.#reservations.has(resident));
    const held = sumOf(present.map(({ demand }) => demand));
    const loading = present.filter(({ engine }) => engine?.stage !== "ready");
    const promised = sumOf(loading.map(({ demand }) => demand));
    const ram = gpuFree === null ? null : availableBytes(held.ramBytes, promised.ramBytes);
    return {
      ramBytes: ram === null ? Infinity : ram + held.ramBytes,
      gpuBytes: gpuFree === null ? Infinity : gpuFree - promised.gpuBytes + held.gpuBytes,
      totalBytes: memoryLimitBytes ?? Infinity,
    };
  }
}

/** The engine is told where the draft model lies and what it is called. */
function toOptions({ draft, ...load }: LoadDefaults): Omit<LoadOptions, "modelPath" | "purpose"> {
  if (draft === undefined) return load;
  const { model, ...limits } = draft;
  return { ...load, draft: { ...limits, name: model.key, modelPath: model.path } };
}

type ResidentInstance = Resident & { instance: ModelInstance };

function asResident(instance: ModelInstance): ResidentInstance {
  const { demand, jit, model, isIdle, isEnding, lastUsedMs } = instance;
  return { instance, demand, jit, kind: model.kind, isIdle, isEnding, lastUsedMs };
}

/**
 * Free main memory. Weights mapped by other engines look free to the system but are needed, so what
 * they hold counts against the total as well.
 * @param promisedBytes part of `heldBytes` that engines which still load are about to take.
 */
function freeBytes(heldBytes: number, promisedBytes: number): number {
  const { totalBytes, availableBytes } = memoryState();
  return Math.min(availableBytes - promisedBytes, totalBytes - heldBytes);
}
