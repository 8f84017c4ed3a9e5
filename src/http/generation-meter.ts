import type { GenerateEvent } from "../chat/events.ts";
import type { Clock } from "../lib/clock.ts";
import type { Outcome, RequestContext } from "./request-context.ts";
import type { ServerMetrics } from "./server-metrics.ts";

/** A request of several generations ended as the one that is last in this order. */
const SEVERITY: readonly Outcome[] = ["done", "cancelled", "refused", "error"];

/** Counts the tokens and times of one generation for the metrics and the access log. */
export class GenerationMeter {
  readonly #metrics: ServerMetrics;
  readonly #clock: Clock;
  readonly #context: RequestContext;
  /** When each choice last said something. */
  readonly #lastMs: number[] = [];
  /** Of the model; empty until one is found. */
  #key = "";
  #latency: ReturnType<ServerMetrics["latency"]> | null = null;
  #hasStarted = false;
  #isDone = false;

  constructor(metrics: ServerMetrics, clock: Clock, context: RequestContext) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#context = context;
  }

  /** It was not refused. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** The generation told its end; without that it was stopped. */
  get isDone(): boolean {
    return this.#isDone;
  }

  observe(event: GenerateEvent): void {
    if (event.type === "resolved") this.#resolve(event);
    else if (event.type === "assigned") this.#assign(event);
    else if (event.type === "started") this.#start(event);
    else if (event.type === "finished" || event.type === "interrupted")
      this.#finish(event.completionTokens);
    else if (event.type === "done") this.#isDone = true;
    else if ("choice" in event) this.#time(event.choice);
  }

  /** Call once, with how it ended. */
  close(outcome: Outcome): void {
    const { facts } = this.#context;
    facts.outcome = worse(facts.outcome, outcome);
    this.#metrics.generations.add(1, { model: this.#key, outcome });
  }

  /** The log tells the key until an instance, by its own name, is to answer. */
  #resolve({ key }: Extract<GenerateEvent, { type: "resolved" }>): void {
    this.#key = key;
    this.#context.facts.model ??= key;
  }

  #assign({ model, key }: Extract<GenerateEvent, { type: "assigned" }>): void {
    this.#key = key;
    this.#context.facts.model = model;
  }

  #start({ promptTokens, cachedTokens }: Extract<GenerateEvent, { type: "started" }>): void {
    const labels = { model: this.#key };
    this.#hasStarted = true;
    this.#latency = this.#metrics.latency(this.#key);
    this.#context.facts.promptTokens += promptTokens;
    this.#metrics.promptTokens.add(promptTokens, labels);
    this.#metrics.cachedTokens.add(cachedTokens, labels);
  }

  #finish(tokens: number): void {
    this.#context.facts.completionTokens += tokens;
    this.#metrics.completionTokens.add(tokens, { model: this.#key });
  }

  #time(choice: number): void {
    const nowMs = this.#clock.monotonicMs();
    const previousMs = this.#lastMs[choice];
    if (previousMs !== undefined) this.#latency?.itl.observe((nowMs - previousMs) / 1000);
    const isFirst = this.#lastMs.length === 0;
    if (isFirst) this.#latency?.ttft.observe((nowMs - this.#context.startMs) / 1000);
    this.#lastMs[choice] = nowMs;
  }
}

function worse(one: Outcome | null, other: Outcome): Outcome {
  return one === null || SEVERITY.indexOf(one) < SEVERITY.indexOf(other) ? other : one;
}
