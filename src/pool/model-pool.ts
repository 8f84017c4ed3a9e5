import type { CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import { hasCode, invalidRequest, LmError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { PoolCounters } from "./counters.ts";
import { Deadline } from "./deadline.ts";
import { Departures } from "./departures.ts";
import type { EngineCommand, SpawnEngine } from "./engine-channel.ts";
import { engineSpawner } from "./engine-channel.ts";
import { ENGINE_LIMITS, type EngineLimits } from "./engine-limits.ts";
import { loadFailure } from "./engine-end.ts";
import type { EngineProcess } from "./engine-process.ts";
import { EngineStarts } from "./engine-starts.ts";
import { LoadSettings, type LoadSettingsOptions } from "./load-settings.ts";
import { MemoryGate, type MemoryGateOptions } from "./memory-gate.ts";
import { InstanceSet } from "./instance-set.ts";
import { ModelInstance, unloaded } from "./instance.ts";
import type {
  AcquireOptions,
  AnswerPreview,
  Cooldown,
  InstanceStatus,
  Lease,
  LoadDefaults,
  LoadRequest,
  PoolManager,
  PoolStatistics,
} from "./pool.ts";
import type { EngineStatus } from "../protocol/events.ts";

export interface PoolOptions extends MemoryGateOptions, LoadSettingsOptions {
  engine: EngineCommand;
  /** Jobs that may wait per model beside those that run. */
  maxQueue: number;
  clock: Clock;
  log: Log;
  limits?: Partial<EngineLimits>;
  /** Replaced by tests. */
  spawn?: SpawnEngine;
}

/** The models in memory and the engines that hold them. */
export class ModelPool implements PoolManager {
  readonly #options: PoolOptions;
  readonly #limits: EngineLimits;
  readonly #settings: LoadSettings;
  readonly #starts: EngineStarts;
  readonly #gate: MemoryGate;
  readonly #counters = new PoolCounters();
  readonly #closing = new AbortController();
  readonly #instances = new InstanceSet();
  readonly #departures: Departures;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#limits = { ...ENGINE_LIMITS, ...options.limits };
    this.#settings = new LoadSettings(options);
    const { engine, maxQueue, clock, log } = options;
    this.#starts = new EngineStarts({
      engine,
      maxQueue,
      clock,
      log,
      spawn: options.spawn ?? engineSpawner(engine.command, process.env),
      limits: this.#limits,
      counters: this.#counters,
      closing: this.#closing.signal,
    });
    this.#gate = new MemoryGate(options);
    this.#departures = new Departures(maxQueue);
  }

  async acquire(
    model: CatalogModel,
    signal: AbortSignal,
    options: AcquireOptions = {},
  ): Promise<Lease> {
    const deadline = this.#deadline(signal);
    const own = this.#settings.forRequest(model, options);
    for (;;) {
      deadline.signal.throwIfAborted();
      const choice = this.#instances.choose(model, options);
      switch (choice.kind) {
        case "lease": {
          const { instance } = choice;
          const lease = await this.#unlessForOthers(instance, own, instance.lease(deadline));
          if (lease !== null) return lease;
          break;
        }
        case "join":
          await this.#unlessForOthers(choice.instance, own, choice.instance.loaded(deadline));
          break;
        case "outlast":
          await this.#departure(model, choice.instance.decided, deadline);
          break;
        case "replace":
          void choice.instance.drain("unloaded", unloaded(model));
          // Of those who wait for this the first to do so goes on first: nobody else loads it too.
          await this.#departure(model, choice.instance.gone, deadline);
          return await this.#createForRequest(model, options).lease(deadline);
        case "load":
          return await this.#createForRequest(model, options).lease(deadline);
      }
    }
  }

  preview(model: CatalogModel, options: AcquireOptions = {}): AnswerPreview {
    const choice = this.#instances.choose(model, options);
    if (choice.kind === "load") {
      return { identifier: this.#instances.freeIdentifier(model.key), needsLoad: true };
    }
    const { identifier, isReady } = choice.instance;
    return { identifier, needsLoad: choice.kind !== "lease" || !isReady };
  }

  async load(
    model: CatalogModel,
    request: LoadRequest,
    signal: AbortSignal,
  ): Promise<InstanceStatus> {
    const deadline = this.#deadline(signal);
    for (;;) {
      const instance = await this.#loadOnPurpose(model, request, deadline, signal);
      if (instance !== null) return this.#status(instance);
    }
  }

  /** @returns null when it shared a request's load, which was refused for what that asked for. */
  async #loadOnPurpose(
    model: CatalogModel,
    request: LoadRequest,
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<ModelInstance | null> {
    const { identifier, ttlMs = null, ...overrides } = request;
    const settings = { ...this.#settings.of(model), ...overrides };
    deadline.signal.throwIfAborted();
    const departure = this.#instances.departure(model);
    // Names are free after it.
    if (departure !== null) await this.#departure(model, departure, deadline);
    const name = identifier ?? null;
    const kept = this.#instances.loadedByRequest(model, name, overrides);
    const unpinnedTtlMs = kept === null ? this.#settings.ttlMs(model) : kept.ttlMs;
    kept?.pin(ttlMs);
    if (kept === null && name !== null && this.#instances.get(name) !== null) {
      throw invalidRequest("identifier", "invalid_value", `"${name}" is loaded already.`);
    }
    const instance = kept ?? this.#create({ model, identifier: name, jit: false, ttlMs }, settings);
    try {
      const lease = await this.#unlessForOthers(instance, settings, instance.lease(deadline));
      lease?.release();
      return lease === null ? null : instance;
    } catch (error) {
      if (!signal.aborted) throw error;
      // Requests may want it meanwhile, or did before.
      if (kept === null && !instance.isWanted) void instance.stop("unloaded", unloaded(model));
      else instance.unpin(unpinnedTtlMs);
      throw error;
    }
  }

  async unload(identifier: string, options: { force: boolean }): Promise<void> {
    const instance = this.#instances.get(identifier);
    if (instance === null) {
      const message = `No loaded model has the identifier "${identifier}".`;
      throw new LmError("model_not_loaded", { model: identifier }, message);
    }
    const error = unloaded(instance.model);
    if (options.force) await instance.stop("unloaded", error);
    else await instance.drain("unloaded", error);
  }

  async inspect(identifier: string, signal: AbortSignal): Promise<EngineStatus | null> {
    const instance = this.#instances.get(identifier);
    return (await instance?.inspect(signal)) ?? null;
  }

  cooldown(model: CatalogModel): Cooldown | null {
    return this.#starts.cooldown(model, this.#settings.of(model));
  }

  instances(): readonly InstanceStatus[] {
    return this.#instances.all.map((instance) => this.#status(instance));
  }

  statistics(): PoolStatistics {
    const inflight = this.#instances.all.map((instance) => instance.engine?.jobs.unreadBytes ?? 0);
    return this.#counters.snapshot(inflight.reduce((sum, bytes) => sum + bytes, 0));
  }

  async close(graceMs: number): Promise<void> {
    const error = new LmError("server_shutdown", {}, "The server is shutting down.");
    this.#closing.abort(error);
    for (const instance of this.#instances.all) instance.engine?.abandonWaiting(error);
    const isReady = (instance: ModelInstance) => instance.engine?.stage === "ready";
    const unready = this.#instances.all.filter((instance) => !isReady(instance));
    const ready = this.#instances.all.filter(isReady);
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

  /** Of one who wants a model now, or until the pool closes. */
  #deadline(signal: AbortSignal): Deadline {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    return new Deadline(this.#options.clock, this.#limits.loadTimeoutMs, either);
  }

  #departure(model: CatalogModel, departure: Promise<unknown>, deadline: Deadline): Promise<void> {
    return this.#departures.wait(model, this.#settings.of(model).parallel, departure, deadline);
  }

  /**
   * What `waiting` brings; null when the load was refused for what others asked for (a draft model):
   * whoever did not ask for that chooses again.
   * @param settings of the load that the one who waits would have begun. @throws as `waiting`.
   */
  async #unlessForOthers<T>(
    instance: ModelInstance,
    settings: LoadDefaults,
    waiting: Promise<T>,
  ): Promise<T | null> {
    try {
      return await waiting;
    } catch (error) {
      if (!hasCode(error, "invalid_request")) throw error;
      if (Bun.deepEquals(settings, instance.settings)) throw error;
      // It was loaded on purpose, once, and there would be no other choice.
      if (this.#instances.get(instance.identifier) === instance) {
        throw loadFailure(instance.model.key, error.message);
      }
      return null;
    }
  }

  #createForRequest(model: CatalogModel, options: AcquireOptions): ModelInstance {
    const { ttlMs } = options;
    return this.#create(
      { model, identifier: null, jit: true, ttlMs: ttlMs ?? this.#settings.ttlMs(model) },
      this.#settings.forRequest(model, options),
    );
  }

  #create(
    what: { model: CatalogModel; identifier: string | null; jit: boolean; ttlMs: number | null },
    load: LoadDefaults,
  ): ModelInstance {
    const instance = new ModelInstance({
      ...what,
      identifier: what.identifier ?? this.#instances.freeIdentifier(what.model.key),
      settings: load,
      maxQueue: this.#options.maxQueue,
      clock: this.#options.clock,
      start: async (starting, signal) => await this.#start(starting, load, signal),
      onFailure: (failed, end) => this.#starts.failed(failed, end),
      onGone: (gone) => this.#instances.delete(gone),
    });
    this.#instances.add(instance);
    return instance;
  }

  /** Makes room, then starts the engine. */
  #start(instance: ModelInstance, load: LoadDefaults, signal: AbortSignal): Promise<EngineProcess> {
    this.#starts.check(instance.model, load);
    const instances = () => this.#instances.all;
    return this.#gate.enter(instance, load, instances, signal, (options) => {
      this.#closing.signal.throwIfAborted();
      return this.#starts.start(instance, options);
    });
  }

  #status(instance: ModelInstance): InstanceStatus {
    return instance.status(this.#starts.history(instance.model));
  }
}
