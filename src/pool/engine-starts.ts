import type { CatalogModel } from "../catalog/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { LoadOptions } from "../protocol/commands.ts";
import type { PoolCounters } from "./counters.ts";
import type { EngineCommand, SpawnEngine } from "./engine-channel.ts";
import type { EngineEnd } from "./engine-end.ts";
import type { EngineLimits } from "./engine-limits.ts";
import { EngineProcess } from "./engine-process.ts";
import type { ModelInstance } from "./instance.ts";
import type { Cooldown, LoadDefaults } from "./pool.ts";
import { RestartPolicy } from "./restart-policy.ts";

export interface EngineStartsOptions {
  engine: EngineCommand;
  spawn: SpawnEngine;
  maxQueue: number;
  limits: EngineLimits;
  clock: Clock;
  log: Log;
  counters: PoolCounters;
  /** Aborted when the pool closes. */
  closing: AbortSignal;
}

/** Of the engines that one model had. */
export interface EngineHistory {
  starts: number;
  crashes: number;
}

const NO_HISTORY: Readonly<EngineHistory> = { starts: 0, crashes: 0 };

/** Starts engines, remembers how those before them ended, and says whether another may be tried. */
export class EngineStarts {
  readonly #options: EngineStartsOptions;
  readonly #policy: RestartPolicy;
  /** Of models whose engine was started, by key. */
  readonly #histories = new Map<string, EngineHistory>();

  constructor(options: EngineStartsOptions) {
    this.#options = options;
    this.#policy = new RestartPolicy(options.clock);
  }

  cooldown(model: CatalogModel, settings: LoadDefaults): Cooldown | null {
    return this.#policy.cooldown(model, settings);
  }

  /** @throws LmError while a load like this one is not tried again. */
  check(model: CatalogModel, settings: LoadDefaults): void {
    this.#policy.check(model, settings);
  }

  start(instance: ModelInstance, load: LoadOptions): EngineProcess {
    const { model } = instance;
    const { engine, ...options } = this.#options;
    const history = this.#historyToKeep(model);
    if (history.crashes > 0) options.counters.engineRestarts += 1;
    history.starts += 1;
    const process = new EngineProcess({
      ...options,
      model: model.key,
      buildId: engine.buildId,
      load,
      modelBytes: model.sizeBytes,
    });
    process.ready.then(
      () => this.#policy.loaded(model, instance.settings),
      () => {
        // The failure is counted when the engine has ended.
      },
    );
    return process;
  }

  failed({ model, settings }: ModelInstance, end: EngineEnd): void {
    if (end.refused) {
      const { cause: reason, param } = end;
      const failure = { reason, ...(param !== undefined && { param }) };
      this.#policy.loadFailed(model, settings, failure);
      return;
    }
    this.#historyToKeep(model).crashes += 1;
    this.#policy.crashed(model, end.cause);
  }

  /** A look at it keeps nothing. */
  history(model: CatalogModel): Readonly<EngineHistory> {
    return this.#histories.get(model.key) ?? NO_HISTORY;
  }

  #historyToKeep(model: CatalogModel): EngineHistory {
    const known = this.#histories.get(model.key);
    if (known !== undefined) return known;
    const history = { ...NO_HISTORY };
    this.#histories.set(model.key, history);
    return history;
  }
}
