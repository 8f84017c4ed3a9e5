import type { CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import { invalidRequest, LmError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import { PoolCounters } from "./counters.ts";
import type { EngineCommand, SpawnEngine } from "./engine-channel.ts";
import { engineSpawner } from "./engine-channel.ts";
import { ENGINE_LIMITS, type EngineLimits } from "./engine-limits.ts";
import type { EngineEnd } from "./engine-end.ts";
import { EngineProcess } from "./engine-process.ts";
import { MemoryGate, type MemoryGateOptions } from "./memory-gate.ts";
import { ModelInstance, unloaded } from "./instance.ts";
import type {
  AcquireOptions,
  Cooldown,
  InstanceStatus,
  Lease,
  LoadDefaults,
  LoadPreset,
  LoadRequest,
  PoolManager,
  PoolStatistics,
} from "./pool.ts";
import { RestartPolicy } from "./restart-policy.ts";
import { waitFor } from "./wait.ts";
import type { EngineStatus } from "../protocol/events.ts";

export interface PoolOptions extends MemoryGateOptions {
  engine: EngineCommand;
  load: LoadDefaults;
  /** Jobs that may wait per model beside those that run. */
  maxQueue: number;
  /** Idle ms before a model loaded by a request is unloaded; null = never. */
  ttlMs: number | null;
  clock: Clock;
  log: Log;
  /** Stronger than `load` and `ttlMs`, weaker than what a load asks for. */
  presetOf?: (model: CatalogModel) => LoadPreset;
  limits?: Partial<EngineLimits>;
  /** Replaced by tests. */
  spawn?: SpawnEngine;
}

interface History {
  starts: number;
  crashes: number;
}

/** The models in memory and the engines that hold them. */
export class ModelPool implements PoolManager {
  readonly #options: PoolOptions;
  readonly #limits: EngineLimits;
  readonly #spawn: SpawnEngine;
  readonly #policy: RestartPolicy;
  readonly #gate: MemoryGate;
  readonly #counters = new PoolCounters();
  readonly #closing = new AbortController();
  readonly #histories = new Map<string, History>();
  #instances: ModelInstance[] = [];

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#limits = { ...ENGINE_LIMITS, ...options.limits };
    this.#spawn = options.spawn ?? engineSpawner(options.engine.command, process.env);
    this.#policy = new RestartPolicy(options.clock);
    this.#gate = new MemoryGate(options);
  }

  async acquire(
    model: CatalogModel,
    signal: AbortSignal,
    options: AcquireOptions = {},
  ): Promise<Lease> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    for (;;) {
      either.throwIfAborted();
      const instance = this.#named(model, options.name ?? null) ?? this.#choose(model);
      if (instance !== null) {
        if (!instance.isEnding) return await instance.lease(either);
        await waitFor(instance.gone, either);
        continue;
      }
      const { ttlMs: presetTtlMs = this.#options.ttlMs } = this.#presetOf(model);
      const ttlMs = options.ttlMs ?? presetTtlMs;
      const created = this.#create(
        { model, identifier: null, jit: true, ttlMs },
        options.settings ?? {},
      );
      return await created.lease(either);
    }
  }

  async load(
    model: CatalogModel,
    request: LoadRequest,
    signal: AbortSignal,
  ): Promise<InstanceStatus> {
    const { identifier, ttlMs = null, ...overrides } = request;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    either.throwIfAborted();
    await this.#ended(model, either);
    if (this.#instances.some((instance) => instance.identifier === identifier)) {
      throw invalidRequest("identifier", "invalid_value", `"${identifier}" is loaded already.`);
    }
    const name = identifier ?? null;
    const instance =
      this.#pinned(model, request) ??
      this.#create({ model, identifier: name, jit: false, ttlMs }, overrides);
    const lease = await instance.lease(either);
    lease.release();
    return this.#status(instance);
  }

  async unload(identifier: string, options: { force: boolean }): Promise<void> {
    const instance = this.#instances.find((candidate) => candidate.identifier === identifier);
    if (instance === undefined) {
      const message = `No loaded model has the identifier "${identifier}".`;
      throw new LmError("model_not_loaded", { model: identifier }, message);
    }
    const error = unloaded(instance.model);
    if (options.force) await instance.stop("unloaded", error);
    else await instance.drain("unloaded", error);
  }

  async inspect(identifier: string, signal: AbortSignal): Promise<EngineStatus | null> {
    const instance = this.#instances.find((candidate) => candidate.identifier === identifier);
    return (await instance?.inspect(signal)) ?? null;
  }

  cooldown(model: CatalogModel): Cooldown | null {
    return this.#policy.cooldown(model);
  }

  instances(): readonly InstanceStatus[] {
    return this.#instances.map((instance) => this.#status(instance));
  }

  statistics(): PoolStatistics {
    const inflight = this.#instances.map((instance) => instance.engine?.jobs.unreadBytes ?? 0);
    return this.#counters.snapshot(inflight.reduce((sum, bytes) => sum + bytes, 0));
  }

  async close(graceMs: number): Promise<void> {
    const error = new LmError("server_shutdown", {}, "The server is shutting down.");
    this.#closing.abort(error);
    for (const instance of this.#instances) instance.engine?.abandonWaiting(error);
    const isReady = (instance: ModelInstance) => instance.engine?.stage === "ready";
    const unready = this.#instances.filter((instance) => !isReady(instance));
    const ready = this.#instances.filter(isReady);
    await Promise.all([
      ...unready.map((instance) => instance.stop("shutdown", error)),
      ...ready.map((instance) => this.#closeInstance(instance, graceMs, error)),
    ]);
  }

  async #closeInstance(instance: ModelInstance, graceMs: number, error: LmError): Promise<void> {
    const cancel = this.#options.clock.after(graceMs, () => {
      void instance.stop("shutdown", error);
    });
    await instance.drain("shutdown", error);
    cancel();
  }

  /**
   * The instance that has this very name, unless it is the model's own, which means any of them.
   * @throws LmError model_unloaded when it is on its way out: another load would have another name.
   */
  #named(model: CatalogModel, name: string | null): ModelInstance | null {
    if (name === null || name === model.key) return null;
    const folded = name.toLowerCase();
    const own = this.#instances.filter(
      (instance) => instance.model.key === model.key && instance.identifier !== model.key,
    );
    const named =
      own.find((instance) => instance.identifier === name) ??
      own.find((instance) => instance.identifier.toLowerCase() === folded);
    if (named?.isEnding === true) throw unloaded(model);
    return named ?? null;
  }

  /** The least busy instance of the model, ready ones first. */
  #choose(model: CatalogModel): ModelInstance | null {
    const rank = (instance: ModelInstance) =>
      (instance.isEnding ? 2e9 : 0) +
      (instance.engine?.stage === "ready" ? 0 : 1e9) +
      (instance.engine?.jobs.running ?? 0) +
      (instance.engine?.jobs.queued ?? 0);
    const candidates = this.#instances.filter((instance) => instance.model.key === model.key);
    return candidates.toSorted((a, b) => rank(a) - rank(b))[0] ?? null;
  }

  /** Waits for instances of the model that are on their way out: their names become free. */
  async #ended(model: CatalogModel, signal: AbortSignal): Promise<void> {
    const isEnding = (instance: ModelInstance) =>
      instance.model.key === model.key && instance.isEnding;
    const ending = this.#instances.filter(isEnding).map((instance) => instance.gone);
    await waitFor(Promise.all(ending), signal);
  }

  /** An explicit load without settings of its own keeps what a request loaded. */
  #pinned(model: CatalogModel, request: LoadRequest): ModelInstance | null {
    if (Object.keys(request).some((key) => key !== "ttlMs")) return null;
    const jit = this.#instances.find(
      (instance) => instance.model.key === model.key && instance.jit && !instance.isEnding,
    );
    jit?.pin(request.ttlMs ?? null);
    return jit ?? null;
  }

  #create(
    what: { model: CatalogModel; identifier: string | null; jit: boolean; ttlMs: number | null },
    overrides: Partial<LoadDefaults>,
  ): ModelInstance {
    const load = { ...this.#options.load, ...this.#presetOf(what.model).load, ...overrides };
    const instance = new ModelInstance({
      ...what,
      identifier: what.identifier ?? this.#freeIdentifier(what.model.key),
      settings: load,
      maxQueue: this.#options.maxQueue,
      loadTimeoutMs: this.#limits.loadTimeoutMs,
      clock: this.#options.clock,
      start: async (starting) => await this.#start(starting, load),
      onFailure: (failed, end) => this.#failed(failed, end),
      onGone: (gone) => {
        this.#instances = this.#instances.filter((other) => other !== gone);
      },
    });
    this.#instances.push(instance);
    return instance;
  }

  #presetOf(model: CatalogModel): LoadPreset {
    return this.#options.presetOf?.(model) ?? { load: {} };
  }

  #freeIdentifier(key: string): string {
    const taken = new Set(this.#instances.map((instance) => instance.identifier));
    for (let n = 1; ; n += 1) {
      const identifier = n === 1 ? key : `${key}:${n}`;
      if (!taken.has(identifier)) return identifier;
    }
  }

  /** Makes room, one model at a time, then starts the engine. */
  #start(instance: ModelInstance, load: LoadDefaults): Promise<EngineProcess> {
    this.#policy.check(instance.model);
    const instances = () => this.#instances;
    return this.#gate.enter(instance, load, instances, (options) => {
      this.#closing.signal.throwIfAborted();
      return this.#startEngine(instance, options);
    });
  }

  #startEngine(instance: ModelInstance, load: LoadOptions): EngineProcess {
    const { engine, maxQueue, clock, log } = this.#options;
    const { model } = instance;
    const history = this.#history(model);
    if (history.crashes > 0) this.#counters.engineRestarts += 1;
    history.starts += 1;
    const process = new EngineProcess({
      model: model.key,
      spawn: this.#spawn,
      buildId: engine.buildId,
      load,
      modelBytes: model.sizeBytes,
      maxQueue,
      limits: this.#limits,
      clock,
      log,
      counters: this.#counters,
      closing: this.#closing.signal,
    });
    process.ready.then(
      () => this.#policy.loaded(model),
      () => {
        // The failure is counted when the engine has ended.
      },
    );
    return process;
  }

  #failed(instance: ModelInstance, end: EngineEnd): void {
    if (end.refused) {
      this.#policy.loadFailed(instance.model, end.cause);
      return;
    }
    this.#history(instance.model).crashes += 1;
    this.#policy.crashed(instance.model, end.cause);
  }

  #history(model: CatalogModel): History {
    const known = this.#histories.get(model.key);
    if (known !== undefined) return known;
    const history = { starts: 0, crashes: 0 };
    this.#histories.set(model.key, history);
    return history;
  }

  #status(instance: ModelInstance): InstanceStatus {
    return instance.status(this.#history(instance.model));
  }
}
