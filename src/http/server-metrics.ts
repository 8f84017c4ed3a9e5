import { CacheMetrics } from "./cache-metrics.ts";
import type { Deps } from "./deps.ts";
import { SpeculationMetrics } from "./speculation-metrics.ts";
import { InstanceMetrics } from "./instance-metrics.ts";
import { Registry, type Series } from "./metrics.ts";
import { PoolMetrics } from "./pool-metrics.ts";

const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300];
const TTFT_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];
const ITL_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 5];

/**
 * Everything the server counts. What is counted for good is labelled by the model's key; what is true
 * of an instance while it is in memory by its identifier, which clients may choose.
 */
export class ServerMetrics {
  readonly #registry = new Registry();
  readonly requests = this.#registry.counter(
    "lmserver_http_requests_total",
    "Answered requests by route template, method and status.",
  );
  readonly requestSeconds = this.#registry.histogram(
    "lmserver_http_request_duration_seconds",
    "Time from arrival to the end of the answer.",
    REQUEST_SECONDS,
  );
  readonly generations = this.#registry.counter(
    "lmserver_generations_total",
    "Ended generations by model, empty where none was found, and outcome: done, cancelled, refused before they began, or error.",
  );
  readonly promptTokens = this.#registry.counter(
    "lmserver_prompt_tokens_total",
    "Prompt tokens of started generations, cached ones included.",
  );
  readonly cachedTokens = this.#registry.counter(
    "lmserver_cached_prompt_tokens_total",
    "Prompt tokens that were found in the KV cache.",
  );
  readonly completionTokens = this.#registry.counter(
    "lmserver_completion_tokens_total",
    "Generated tokens, those of generations that ended early included.",
  );
  readonly ttft = this.#registry.histogram(
    "lmserver_time_to_first_token_seconds",
    "Time from arrival of a request to the first generated text of each of its generations.",
    TTFT_SECONDS,
  );
  readonly itl = this.#registry.histogram(
    "lmserver_inter_token_seconds",
    "Time between two pieces of generated text of one choice.",
    ITL_SECONDS,
  );
  readonly streams = this.#registry.gauge("lmserver_sse_streams", "Event streams that are open.");
  readonly stalls = this.#registry.counter(
    "lmserver_sse_stalls_total",
    "Event streams ended because their reader took nothing for too long.",
  );
  readonly queueRefused = this.#registry.counter(
    "lmserver_queue_refused_total",
    "Requests refused because the queue of their model was full.",
  );
  readonly #notSaved = this.#registry.counter(
    "lmserver_responses_not_saved_total",
    "Answers that could not be stored, so that no request can continue them.",
  );
  readonly #bodyBytes = this.#registry.gauge(
    "lmserver_request_body_bytes",
    "Bytes of request bodies held in memory.",
  );
  readonly #memory = this.#registry.gauge(
    "process_resident_memory_bytes",
    "Resident memory of the server process, engines not included.",
  );
  readonly #instances = new InstanceMetrics(this.#registry);
  readonly #cache = new CacheMetrics(this.#registry);
  readonly #speculation = new SpeculationMetrics(this.#registry);
  readonly #pool = new PoolMetrics(this.#registry);

  constructor() {
    // Shown before the first one, so that its rate has a beginning.
    this.queueRefused.add(0);
  }

  /** Series of the model with this key, to be kept while it generates. */
  latency(model: string): { ttft: Series; itl: Series } {
    return { ttft: this.ttft.labels({ model }), itl: this.itl.labels({ model }) };
  }

  /** The whole text, with what pool and store know at this moment. */
  render({ pool, responses }: Pick<Deps, "pool" | "responses">, bodyBytes: number): string {
    this.#bodyBytes.set(bodyBytes);
    this.#notSaved.set(responses?.notSaved ?? 0);
    this.#memory.set(residentBytes());
    const instances = pool.instances();
    this.#instances.read(instances);
    this.#cache.read(instances);
    this.#speculation.read(instances);
    this.#pool.read(pool.statistics());
    return this.#registry.render();
  }
}

let lastResidentBytes = 0;

/** Of this process. The last known where the system does not tell, as without a free descriptor. */
function residentBytes(): number {
  try {
    lastResidentBytes = process.memoryUsage.rss();
  } catch {
    // an operator still wants all the other numbers
  }
  return lastResidentBytes;
}
