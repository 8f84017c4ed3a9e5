import type { Generate, GenerateEvent, GenerateRequest } from "../chat/events.ts";
import { renameParam } from "../lib/error-param.ts";
import { hasCode, LmError } from "../lib/errors.ts";
import { isBug, logBug } from "./bug.ts";
import type { Deps } from "./deps.ts";
import { errorStatus } from "./error-response.ts";
import { GenerationMeter } from "./generation-meter.ts";
import type { Outcome, RequestContext } from "./request-context.ts";
import type { ServerMetrics } from "./server-metrics.ts";
import { type WireParam, warningWithWireParam } from "./wire-param.ts";

/** From this status on it is the server that failed. */
const SERVER_FAILURE = 500;

type Finished = Extract<GenerateEvent, { type: "finished" }>;

/** What routes share. */
export interface Server {
  deps: Deps;
  metrics: ServerMetrics;
}

/** The work that one request causes, and what ends it early. */
export class GenerationScope {
  /** Aborted when the client left, its reader stalled, or the time is over. */
  readonly abort = new AbortController();
  readonly #server: Server;
  readonly #context: RequestContext;
  readonly #toWire: WireParam;
  readonly #cleanUp: (() => void)[] = [];
  /** Generations that found the queue full: beside others of their request they are tried again. */
  readonly #crowded = new Map<GenerateRequest, GenerationMeter>();

  /**
   * @param toWire Names of the client's fields, for refusals and warnings from further in.
   * @throws LmError server_shutdown while the server stops.
   */
  constructor(server: Server, context: RequestContext, toWire: WireParam) {
    this.#server = server;
    this.#context = context;
    this.#toWire = toWire;
    const { deps } = server;
    if (deps.isStopping()) throw new LmError("server_shutdown", {}, "The server is shutting down.");
    this.#followClient(context.request.signal);
    const limitMs = deps.settings.requestTimeoutMs;
    if (limitMs > 0) {
      this.#cleanUp.push(deps.clock.after(limitMs, () => this.abort.abort(timeoutError(limitMs))));
    }
  }

  /**
   * A generation whose tokens and times are counted. It ends with `done` or throws.
   * @param toWire Names of its own fields, where the client sent several prompts.
   * @param firstChoice Index in the answer of its first choice, where there are several prompts.
   */
  async *run(
    request: GenerateRequest,
    toWire = this.#toWire,
    firstChoice: number | null = null,
  ): AsyncGenerator<GenerateEvent, void, void> {
    const { deps, metrics } = this.#server;
    const meter = new GenerationMeter(metrics, deps.clock, this.#context);
    const cacheScope = deps.settings.sharedPrefixCache ? "" : this.#context.caller.id;
    const events = deps.generate({ ...request, cacheScope }, this.abort.signal);
    let outcome: Outcome = "cancelled";
    let isCrowded = false;
    this.#crowded.delete(request);
    try {
      for (;;) {
        const { done, value: event } = await events.next();
        if (done === true) break;
        meter.observe(event);
        if (event.type === "resolved" || event.type === "assigned") continue;
        if (event.type === "started") this.#warn(event.warnings ?? []);
        if (event.type === "finished") this.#tellIssues(event, firstOf(request, firstChoice));
        yield event;
      }
      // A source that stops without an end was told to: an answer must not look complete.
      if (!meter.isDone) throw endedEarly();
      outcome = "done";
    } catch (error) {
      outcome = this.#outcomeOf(error, meter);
      isCrowded = outcome === "refused" && hasCode(error, "queue_full");
      throw this.failure(error, toWire);
    } finally {
      if (outcome === "cancelled") await this.#hearEnd(events, meter);
      if (isCrowded) this.#crowded.set(request, meter);
      else meter.close(meter.isDone ? "done" : outcome);
    }
  }

  /** Refuses what these would without running them. A refusal counts as one generation's. */
  async check(requests: readonly GenerateRequest[], toWire = this.#toWire): Promise<void> {
    const { deps, metrics } = this.#server;
    const meter = new GenerationMeter(metrics, deps.clock, this.#context);
    try {
      const events = deps.checkPrompts(requests, this.abort.signal);
      for await (const event of events) meter.observe(event);
    } catch (error) {
      const outcome = this.#outcomeOf(error, meter);
      for (const request of requests) this.#crowded.delete(request);
      meter.close(outcome);
      throw this.failure(error, toWire);
    }
  }

  /** For what came up when the work had been ended, and is told to nobody. */
  logBug(error: unknown): void {
    if (!isBug(error, this.abort.signal)) return;
    logBug(this.#server.deps.log, this.#context.id, error);
  }

  /** What to tell the client of an error: why the work was ended, or its own words. */
  failure(error: unknown, toWire = this.#toWire): unknown {
    const { aborted, reason }: { aborted: boolean; reason: unknown } = this.abort.signal;
    if (!aborted) return renameParam(error, toWire);
    this.logBug(error);
    return reason instanceof LmError ? reason : endedEarly();
  }

  /** Call once when the answer is complete. */
  close(): void {
    for (const clean of this.#cleanUp.splice(0)) clean();
    for (const meter of this.#crowded.values()) meter.close("refused");
    this.#crowded.clear();
  }

  /** Its reader has left: it is told to end, and what it has generated until then is counted. */
  async #hearEnd(events: ReturnType<Generate>, meter: GenerationMeter): Promise<void> {
    if (!meter.isDone) this.abort.abort();
    try {
      for await (const event of events) meter.observe(event);
    } catch (error) {
      this.logBug(error); // nobody is left to be told of anything else
    }
  }

  /** A refusal of one prompt, like a client that leaves, only cancels what else its request has. */
  #outcomeOf(error: unknown, meter: GenerationMeter): Outcome {
    const { aborted, reason }: { aborted: boolean; reason: unknown } = this.abort.signal;
    if (!aborted) return outcomeOf(error, meter);
    const isFailure = reason instanceof LmError && errorStatus(reason) >= SERVER_FAILURE;
    return isFailure ? outcomeOf(reason, meter) : "cancelled";
  }

  #followClient(signal: AbortSignal): void {
    const leave = (): void => this.abort.abort(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    this.#cleanUp.push(() => signal.removeEventListener("abort", leave));
  }

  /** For the header of an answer that is not streamed, and for the log, which never quotes answers. */
  #tellIssues(event: Finished, firstChoice: number | null): void {
    const { schemaIssues = [] } = event;
    if (schemaIssues.length === 0) return;
    const choice = (firstChoice ?? 0) + event.choice;
    const where = firstChoice === null ? "" : `choice ${choice}: `;
    this.#warn(schemaIssues.map(({ param, text }) => `${param}: ${where}${text}`));
    const { id, facts } = this.#context;
    const fields = {
      requestId: id,
      model: facts.model,
      choice,
      issues: schemaIssues.length,
    };
    this.#server.deps.log.warn("answer breaks its schema", fields);
  }

  /** Each prompt of a request is warned of the same; the client is told once. */
  #warn(warnings: readonly string[]): void {
    const told = this.#context.warnings;
    for (const warning of warnings) {
      const text = warningWithWireParam(warning, this.#toWire);
      if (!told.includes(text)) told.push(text);
    }
  }
}

/** null = its answer is the only one. */
function firstOf({ choices }: GenerateRequest, firstChoice: number | null): number | null {
  return firstChoice ?? (choices > 1 ? 0 : null);
}

function outcomeOf(error: unknown, { hasStarted }: GenerationMeter): Outcome {
  return error instanceof LmError && !hasStarted ? "refused" : "error";
}

function timeoutError(limitMs: number): LmError {
  return new LmError("timeout", { limitMs }, `The request took longer than ${limitMs} ms.`);
}

function endedEarly(): LmError {
  return new LmError("internal", {}, "The generation ended early.");
}
