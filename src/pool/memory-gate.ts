import { mayHaveGpu } from "../lib/graphics-devices.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import { planAdmission, type Resident } from "./admission.ts";
import { after, demandOf, NOTHING, sumOf, totalOf, type Availability } from "./demand.ts";
import { automaticContext, estimateMemory } from "./fit.ts";
import { memoryState } from "./free-memory.ts";
import { unloaded, type ModelInstance } from "./instance.ts";
import { insufficientMemory } from "./memory-refusal.ts";
import type { LoadDefaults } from "./pool.ts";

export interface MemoryGateOptions {
  /** Loading by request keeps at most one such model of each kind. */
  keepLastJit: boolean;
  /** Bytes all models together may need; null = what the machine has. */
  memoryLimitBytes: number | null;
  /** Main memory free for models now; null = unknown, then it refuses nothing. Replaced by tests. */
  availableBytes?: (heldBytes: number) => number | null;
  /** Memory free on all GPUs together, 0 without one; null = unknown, then no memory refuses. */
  gpuFreeBytes?: () => Promise<number | null>;
}

/** Lets models into memory, one at a time: makes room for each, or refuses it with the numbers. */
export class MemoryGate {
  readonly #options: MemoryGateOptions;
  #last: Promise<void> = Promise.resolve();

  constructor(options: MemoryGateOptions) {
    this.#options = options;
  }

  /**
   * Runs `start` once there is room; the next model is looked at when it has returned.
   * @param instances all there are, asked when it is this model's turn.
   * @throws LmError insufficient_memory; whatever `start` throws.
   */
  async enter<Started>(
    instance: ModelInstance,
    load: LoadDefaults,
    instances: () => readonly ModelInstance[],
    start: (options: LoadOptions) => Started,
  ): Promise<Started> {
    const before = this.#last;
    const admitted = Promise.withResolvers<void>();
    this.#last = admitted.promise;
    try {
      await before;
      return start(await this.#admit(instance, load, instances()));
    } catch (error) {
      instance.demand = NOTHING;
      throw error;
    } finally {
      admitted.resolve();
    }
  }

  async #admit(
    instance: ModelInstance,
    load: LoadDefaults,
    instances: readonly ModelInstance[],
  ): Promise<LoadOptions> {
    const { model } = instance;
    const gpuFree = await this.#gpuFreeBytes(load);
    const residents = instances.filter((other) => other.demand !== NOTHING);
    const isReplaced = (other: ModelInstance) =>
      this.#options.keepLastJit && instance.jit && other.jit && other.model.kind === model.kind;
    const available = this.#available(residents, gpuFree);
    const roomy = after(available, sumOf(residents.filter(isReplaced).map(({ demand }) => demand)));
    const purpose = model.kind === "embedding" ? "embed" : "generate";
    const fit = { ...load, purpose } as const;
    const mostBytes = Math.min(roomy.totalBytes, totalOf(roomy));
    const contextLength = load.contextLength ?? automaticContext(model, fit, mostBytes);
    const estimate = estimateMemory(model, { ...fit, contextLength });
    // A cache that stays in main memory belongs to no layer.
    const layered = load.kvOnGpu === false ? { ...estimate, kvBytes: 0 } : estimate;
    const plan = planAdmission({
      needed: ({ gpuBytes }) =>
        demandOf(model, layered, load.gpuLayers, gpuFree === null ? 0 : gpuBytes),
      jit: instance.jit,
      kind: model.kind,
      available,
      residents: residents.map((resident) => asResident(resident)),
      keepLastJit: this.#options.keepLastJit,
    });
    if (plan.kind === "refuse") throw insufficientMemory(model, plan.demand, plan.available);
    const victims = plan.victims.map(({ instance: victim }) => victim);
    await Promise.all(victims.map((victim) => victim.drain("unloaded", unloaded(victim.model))));
    instance.demand = plan.demand;
    return { ...toOptions(load), contextLength, purpose, modelPath: model.path };
  }

  /** 0 where no layer may or can go to a GPU, null where nobody knows what is free there. */
  async #gpuFreeBytes({ gpuLayers }: LoadDefaults): Promise<number | null> {
    if (gpuLayers === "off") return 0;
    const { gpuFreeBytes } = this.#options;
    if (gpuFreeBytes !== undefined) return await gpuFreeBytes();
    return mayHaveGpu() ? null : 0;
  }

  /** For one more model. Engines that still load have not taken from the GPU what they will. */
  #available(residents: readonly ModelInstance[], gpuFree: number | null): Availability {
    const { memoryLimitBytes, availableBytes = freeBytes } = this.#options;
    const held = sumOf(residents.map(({ demand }) => demand));
    const loading = residents.filter(({ engine }) => engine?.stage !== "ready");
    const promised = sumOf(loading.map(({ demand }) => demand)).gpuBytes;
    const ram = gpuFree === null ? null : availableBytes(held.ramBytes);
    const left = (bytes: number | null) => (bytes === null ? Infinity : Math.max(0, bytes));
    return {
      ramBytes: left(ram),
      gpuBytes: left(gpuFree === null ? null : gpuFree - promised),
      totalBytes: left(memoryLimitBytes === null ? null : memoryLimitBytes - totalOf(held)),
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
  const { demand, jit, model, isIdle, lastUsedMs } = instance;
  return { instance, demand, jit, kind: model.kind, isIdle, lastUsedMs };
}

/**
 * Free main memory. Weights mapped by other engines look free to the system but are needed, so what
 * they hold counts against the total as well.
 */
function freeBytes(heldBytes: number): number {
  const { totalBytes, availableBytes } = memoryState();
  return Math.min(availableBytes, totalBytes - heldBytes);
}
