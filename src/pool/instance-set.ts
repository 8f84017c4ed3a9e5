import type { CatalogModel } from "../catalog/model.ts";
import { invalidRequest, type LmError } from "../lib/errors.ts";
import { type ModelInstance, unloaded } from "./instance.ts";
import type { AcquireOptions, LoadDefaults } from "./pool.ts";

/** What a request for a model has to do. */
export type InstanceChoice =
  /** Use it, loading it if need be. */
  | { kind: "lease"; instance: ModelInstance }
  /** See what its load brings, and choose again. */
  | { kind: "join"; instance: ModelInstance }
  /** Choose again when it is gone, or stays after all: it is on its way out. */
  | { kind: "outlast"; instance: ModelInstance }
  /** End it, since its context is too small, and load another in its place. */
  | { kind: "replace"; instance: ModelInstance }
  | { kind: "load" };

/** The instances of all models, the oldest first, and how one is found among them. */
export class InstanceSet {
  #all: readonly ModelInstance[] = [];

  get all(): readonly ModelInstance[] {
    return this.#all;
  }

  add(instance: ModelInstance): void {
    this.#all = [...this.#all, instance];
  }

  delete(gone: ModelInstance): void {
    this.#all = this.#all.filter((instance) => instance !== gone);
  }

  get(identifier: string): ModelInstance | null {
    return this.#all.find((instance) => instance.identifier === identifier) ?? null;
  }

  /**
   * The instance that has this very name, unless it is the model's own, which means any of them.
   * @throws LmError model_unloaded when it is on its way out: another load would have another name.
   */
  named(model: CatalogModel, name: string | null): ModelInstance | null {
    if (name === null || name === model.key) return null;
    const folded = name.toLowerCase();
    const own = this.#of(model).filter((instance) => instance.identifier !== model.key);
    const named =
      own.find((instance) => instance.identifier === name) ??
      own.find((instance) => instance.identifier.toLowerCase() === folded);
    if (named?.isEnding === true) throw unloaded(model);
    return named ?? null;
  }

  /**
   * The named instance, or the least busy one among those whose context suffices: of those that
   * are loaded like the one that bears the model's own name, where there is one.
   * @throws LmError model_unloaded as `named`; invalid_request when the context cannot be had.
   */
  choose(model: CatalogModel, { name, contextLength }: AcquireOptions): InstanceChoice {
    const named = this.named(model, name ?? null);
    const own = named === null ? this.#bestFirst(model) : [named];
    const staying = own.filter(({ isEnding }) => !isEnding);
    const wanted = contextLength ?? 0;
    const instance = staying.find((one) => (one.contextLength ?? Infinity) >= wanted);
    if (instance !== undefined) {
      const isEnough = wanted === 0 || instance.contextLength !== null;
      return { kind: isEnough ? "lease" : "join", instance };
    }
    const small = staying.find(({ jit, isIdle }) => jit && isIdle);
    if (small !== undefined) return { kind: "replace", instance: small };
    const leaving = own.find(({ isEnding }) => isEnding);
    if (leaving !== undefined) return { kind: "outlast", instance: leaving };
    if (staying.length > 0) throw contextTooSmall(staying);
    return { kind: "load" };
  }

  /** Those that the model's name means before others, then ready ones before those that load. */
  #bestFirst(model: CatalogModel): ModelInstance[] {
    const bearer = this.get(model.key);
    const isMeant = (instance: ModelInstance) =>
      bearer === null || bearer.isEnding || instance.isLoadedLike(bearer);
    const rank = (instance: ModelInstance) =>
      (isMeant(instance) ? 0 : 2e9) +
      (instance.isReady ? 0 : 1e9) +
      (instance.engine?.jobs.running ?? 0) +
      (instance.engine?.jobs.queued ?? 0);
    return this.#of(model).toSorted((a, b) => rank(a) - rank(b));
  }

  /** Until those of the model that are on their way out are gone, or stay; null = none is. */
  departure(model: CatalogModel): Promise<unknown> | null {
    const ending = this.#of(model).filter(({ isEnding }) => isEnding);
    return ending.length === 0 ? null : Promise.all(ending.map(({ decided }) => decided));
  }

  /** The one that a request loaded, that stays, and that is what a load on purpose asks for. */
  loadedByRequest(
    model: CatalogModel,
    identifier: string | null,
    asked: Partial<LoadDefaults>,
  ): ModelInstance | null {
    const isAsked = (instance: ModelInstance): boolean =>
      (identifier === null || identifier === instance.identifier) && instance.isLoadedAs(asked);
    return this.#of(model).find((one) => one.jit && !one.isEnding && isAsked(one)) ?? null;
  }

  /** The model's key, or the key with the least number that is free. */
  freeIdentifier(key: string): string {
    const taken = new Set(this.#all.map((instance) => instance.identifier));
    for (let n = 1; ; n += 1) {
      const identifier = n === 1 ? key : `${key}:${n}`;
      if (!taken.has(identifier)) return identifier;
    }
  }

  #of(model: CatalogModel): ModelInstance[] {
    return this.#all.filter((instance) => instance.model.key === model.key);
  }
}

/** @param instances All ready, and each in use or loaded on purpose. */
function contextTooSmall(instances: readonly ModelInstance[]): LmError {
  const tokens = Math.max(...instances.map(({ contextLength }) => contextLength ?? 0));
  const why = instances.some(({ jit }) => jit) ? "is in use" : "was loaded on purpose";
  return invalidRequest(
    "contextLength",
    "invalid_value",
    `The model is loaded with a context of ${tokens} tokens and ${why}. Unload it first.`,
  );
}
