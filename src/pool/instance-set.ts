import type { CatalogModel } from "../catalog/model.ts";
import { type ModelInstance, unloaded } from "./instance.ts";

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

  /** The least busy instance of the model, ready ones first. */
  leastBusy(model: CatalogModel): ModelInstance | null {
    const rank = (instance: ModelInstance) =>
      (instance.isEnding ? 2e9 : 0) +
      (instance.engine?.stage === "ready" ? 0 : 1e9) +
      (instance.engine?.jobs.running ?? 0) +
      (instance.engine?.jobs.queued ?? 0);
    return this.#of(model).toSorted((a, b) => rank(a) - rank(b))[0] ?? null;
  }

  /** Until those of the model that are on their way out are gone: their names are free then. */
  async ended(model: CatalogModel): Promise<void> {
    const ending = this.#of(model).filter(({ isEnding }) => isEnding);
    await Promise.all(ending.map(({ gone }) => gone));
  }

  /** The one that a request loaded and that stays. */
  loadedByRequest(model: CatalogModel): ModelInstance | null {
    return this.#of(model).find(({ jit, isEnding }) => jit && !isEnding) ?? null;
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
