import { hasCode, LmError } from "../lib/errors.ts";
import { wireError } from "./error-response.ts";
import type { GenerationScope, Server } from "./generation.ts";
import { recordAnswer } from "./access-log.ts";
import type { RequestContext } from "./request-context.ts";
import { sseResponse } from "./sse.ts";

const openaiError = (error: unknown): string =>
  `data: ${JSON.stringify({ error: wireError(error, true) })}\n\n`;

/**
 * Streams frames of a generation, in the OpenAI dialect unless told otherwise, and writes the access log when it ends.
 * @throws What the generation refuses before its first frame.
 */
export async function streamAnswer(
  server: Server,
  context: RequestContext,
  scope: GenerationScope,
  frames: AsyncGenerator<string, void, void>,
  encodeError = openaiError,
): Promise<Response> {
  const { deps, metrics } = server;
  try {
    const response = await sseResponse(frames, {
      clock: deps.clock,
      abort: scope.abort,
      encodeError,
      onEnd({ bytes, error, stalled }) {
        scope.close();
        metrics.streams.add(-1);
        if (stalled) metrics.stalls.add(1);
        if (error !== null) recordFailure(server, context, error);
        recordAnswer(server, context, { status: 200, bytes });
      },
    });
    metrics.streams.add(1);
    context.isStreaming = true;
    return response;
  } catch (error) {
    scope.close();
    throw error;
  }
}

/**
 * Call for each failure that is told to a client, once. Those that are ours are logged; a client's
 * mistakes and departures are not.
 */
export function recordFailure(
  { deps, metrics }: Server,
  context: RequestContext,
  error: unknown,
): void {
  if (context.request.signal.aborted) return;
  if (hasCode(error, "queue_full")) metrics.queueRefused.add(1);
  const isBug = !(error instanceof LmError);
  const { message, code } = isBug
    ? { message: error instanceof Error ? error.message : "not an error", code: "bug" }
    : error;
  if (isBug) deps.log.error("request failed", { requestId: context.id, code, error: message });
  else if (context.isStreaming) {
    deps.log.warn("stream ended with an error", { requestId: context.id, code });
  }
  if (isBug && error instanceof Error) deps.log.debug("stack", { stack: error.stack });
}
