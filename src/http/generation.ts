import type { GenerateEvent, GenerateRequest } from "../chat/events.ts";
import { LmError } from "../lib/errors.ts";
import type { Deps } from "./deps.ts";
import type { RequestContext } from "./request-context.ts";
import type { ServerMetrics } from "./server-metrics.ts";

/** What routes share. */
export interface Server {
  deps: Deps;
  metrics: ServerMetrics;
}

/** One or more generations on behalf of one request. */
export interface GenerationScope {
  /** Ends the work: the client left, its reader stalled, or the time is over. */
  abort: AbortController;
  /** Starts a generation whose tokens and times are counted. */
  run(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, void>;
  /** Call once when the answer is complete. */
  close(): void;
}

/** @throws LmError overloaded while the server shuts down. */
export function openScope(server: Server, context: RequestContext): GenerationScope {
  const { deps } = server;
  if (deps.isStopping()) throw new LmError("server_shutdown", {}, "The server is shutting down.");
  const abort = new AbortController();
  const { signal } = context.request;
  const leave = (): void => abort.abort(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const limitMs = deps.settings.requestTimeoutMs;
  const cancelTimeout =
    limitMs > 0 ? deps.clock.after(limitMs, () => abort.abort(timeoutError(limitMs))) : null;
  return {
    abort,
    run: (request) => observed(server, context, request, abort.signal),
    close() {
      cancelTimeout?.();
      signal.removeEventListener("abort", leave);
    },
  };
}

function timeoutError(limitMs: number): LmError {
  return new LmError("timeout", { limitMs }, `The request took longer than ${limitMs} ms.`);
}

/** Whether the work ended because the client went away: nobody reads an answer then. */
export function isClientGone(context: RequestContext): boolean {
  return context.request.signal.aborted;
}

async function* observed(
  { deps, metrics }: Server,
  context: RequestContext,
  request: GenerateRequest,
  signal: AbortSignal,
): AsyncGenerator<GenerateEvent, void, void> {
  const { clock } = deps;
  let latency: ReturnType<ServerMetrics["latency"]> | null = null;
  let model: string | null = null;
  let outcome = "cancelled";
  const lastMs: number[] = [];
  try {
    for await (const event of deps.generate(request, signal)) {
      if (event.type === "text" || event.type === "reasoning") {
        const nowMs = clock.monotonicMs();
        const previousMs = lastMs[event.choice];
        if (previousMs === undefined) latency?.ttft.observe((nowMs - context.startMs) / 1000);
        else latency?.itl.observe((nowMs - previousMs) / 1000);
        lastMs[event.choice] = nowMs;
      } else if (event.type === "started") {
        model = event.model;
        latency = metrics.latency(model);
        context.facts.model = model;
        context.facts.promptTokens += event.promptTokens;
        metrics.promptTokens.add(event.promptTokens, { model });
        metrics.cachedTokens.add(event.cachedTokens, { model });
      } else if (event.type === "finished" && model !== null) {
        context.facts.completionTokens += event.completionTokens;
        metrics.completionTokens.add(event.completionTokens, { model });
      } else if (event.type === "done") {
        outcome = "done";
      }
      yield event;
    }
    // A source that stops without an end was told to: an answer must not look complete.
    if (outcome !== "done") throw abortReason(signal);
  } catch (error) {
    if (!signal.aborted) outcome = "error";
    throw signal.aborted ? abortReason(signal) : error;
  } finally {
    if (model !== null) metrics.generations.add(1, { model, outcome });
  }
}

function abortReason(signal: AbortSignal): unknown {
  if (signal.reason instanceof LmError) return signal.reason;
  return new LmError("internal", {}, "The generation ended early.");
}
