import type { InstanceStatus } from "../pool/pool.ts";
import type { Counter, Registry } from "./metrics.ts";

/** What the loaded models guessed. Totals are the engine's: they start anew with it. */
export class SpeculationMetrics {
  readonly #drafted: Counter;
  readonly #accepted: Counter;

  constructor(registry: Registry) {
    const total = (name: string, help: string): Counter =>
      registry.counter(`lmserver_speculation_${name}_tokens_total`, help);
    this.#drafted = total("drafted", "Tokens guessed ahead and computed with others.");
    this.#accepted = total("accepted", "Guessed tokens that were sampled.");
  }

  read(instances: readonly InstanceStatus[]): void {
    this.#drafted.clear();
    this.#accepted.clear();
    for (const { identifier: model, load } of instances) {
      if (load === null) continue;
      this.#drafted.set(load.speculation?.draftedTokens ?? 0, { model });
      this.#accepted.set(load.speculation?.acceptedTokens ?? 0, { model });
    }
  }
}
