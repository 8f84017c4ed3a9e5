import type { GenerateEvent, GenerateRequest } from "../chat/events.ts";
import { hasCode, LmError } from "../lib/errors.ts";
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

/**
 * @param promptParam The field that holds the prompt, for prompts that do not fit.
 * @throws LmError server_shutdown while the server stops.
 */
export function openScope(
  server: Server,
  context: RequestContext,
  promptParam: "messages" | "prompt" | "input",
): GenerationScope {
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
    run: (request) => observed(server, context, request, { signal: abort.signal, promptParam }),
    close() {
      cancelTimeout?.();
      signal.removeEventListener("abort", leave);
    },
  };
}

function timeoutError(limitMs: number): LmError {
  return new LmError("timeout", { limitMs }, `The request took longer than ${limitMs} ms.`);
}

async function* observed(
  { deps, metrics }: Server,
  context: RequestContext,
  request: GenerateRequest,
  { signal, promptParam }: { signal: AbortSignal; promptParam: string },
): AsyncGenerator<GenerateEvent, void, void> {
  const { clock } = deps;
  let latency: ReturnType<ServerMetrics["latency"]> | null = null;
  let model: string | null = null;
  let outcome = "cancelled";
  const lastMs: number[] = [];
  try {
    for await (const event of deps.generate(request, signal)) {
      if ("choice" in event && event.type !== "finished") {
        const nowMs = clock.monotonicMs();
        const previousMs = lastMs[event.choice];
        if (previousMs === undefined) latency?.ttft.observe((nowMs - context.startMs) / 1000);
        else latency?.itl.observe((nowMs - previousMs) / 1000);
        lastMs[event.choice] = nowMs;
      } else if (event.type === "started") {
        model = event.model;
        latency = metrics.latency(model);
        context.facts.model = model;
        context.warnings.push(...(event.warnings ?? []));
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
    throw signal.aborted ? abortReason(signal) : named(error, promptParam);
  } finally {
    if (model !== null) metrics.generations.add(1, { model, outcome });
  }
}

function abortReason(signal: AbortSignal): unknown {
  if (signal.reason instanceof LmError) return signal.reason;
  return new LmError("internal", {}, "The generation ended early.");
}

/** The field's name as the client knows it: the engine only knows a prompt. */
function named(error: unknown, param: string): unknown {
  if (!hasCode(error, "context_length_exceeded")) return error;
  return new LmError(error.code, { ...error.details, param }, error.message, { cause: error });
}
