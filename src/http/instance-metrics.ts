import type { InstanceStatus } from "../pool/pool.ts";
import type { Counter, Registry } from "./metrics.ts";

/** undefined = not known at the moment. */
type Reading = (instance: InstanceStatus) => number | undefined;

/** Instances in memory as they are at this moment, by their identifiers. */
export class InstanceMetrics {
  readonly #gauges: readonly (readonly [Counter, Reading])[];

  constructor(registry: Registry) {
    const gauge = (name: string, help: string): Counter => registry.gauge(`lmserver_${name}`, help);
    this.#gauges = [
      [gauge("slots", "Slots of a loaded model."), ({ parallel }) => parallel],
      [gauge("requests_running", "Jobs that hold a slot."), ({ running }) => running],
      [gauge("requests_queued", "Jobs that wait for a slot."), ({ queued }) => queued],
      [gauge("kv_cells", "Tokens the KV cache holds at most."), ({ load }) => load?.kvCells],
      [gauge("kv_cells_used", "Tokens in the KV cache."), ({ load }) => load?.kvCellsUsed],
      [gauge("model_memory_bytes", "Weights, KV cache and buffers as allocated."), memoryBytes],
      [gauge("engine_steps", "Decode steps of the running engine."), ({ load }) => load?.step],
      [
        gauge("engine_up", "1 when the engine is ready."),
        ({ state }) => (state === "ready" ? 1 : 0),
      ],
    ];
  }

  read(instances: readonly InstanceStatus[]): void {
    for (const [gauge, reading] of this.#gauges) {
      gauge.clear();
      for (const instance of instances) {
        const value = reading(instance);
        if (value !== undefined) gauge.set(value, { model: instance.identifier });
      }
    }
  }
}

function memoryBytes({ info }: InstanceStatus): number | undefined {
  if (info === null) return undefined;
  const { modelBytes, kvBytes, computeBytes } = info.memory;
  return modelBytes + kvBytes + computeBytes;
}
