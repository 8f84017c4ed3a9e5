import type { Server } from "./generation.ts";
import { accessFields, type RequestContext } from "./request-context.ts";

/** Counts an answer and writes its log line. Streams do so when they end. */
export function recordAnswer(
  { deps, metrics }: Server,
  context: RequestContext,
  answer: { status: number; bytes: number },
): void {
  const ms = deps.clock.monotonicMs() - context.startMs;
  const route = context.route ?? "none";
  const { method } = context.request;
  const labels = { route, method: context.route === null ? "none" : method, status: answer.status };
  metrics.requests.add(1, labels);
  metrics.requestSeconds.labels({ route }).observe(ms / 1000);
  deps.log.info("request", accessFields(context, { ...answer, ms }));
}
