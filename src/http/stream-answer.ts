import { hasCode, LmError } from "../lib/errors.ts";
import { wireError } from "./error-response.ts";
import type { GenerationScope, Server } from "./generation.ts";
import { recordAnswer } from "./access-log.ts";
import { isBug, logBug } from "./bug.ts";
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
 * Call for each failure that is told to a client, or would be, once. Bugs are logged, also when nobody is left to
 * be told; a client's mistakes and departures are not.
 */
export function recordFailure(
  { deps, metrics }: Server,
  context: RequestContext,
  error: unknown,
): void {
  const { signal } = context.request;
  if (isBug(error, signal)) return logBug(deps.log, context.id, error);
  if (signal.aborted || !(error instanceof LmError)) return;
  if (hasCode(error, "queue_full")) metrics.queueRefused.add(1);
  if (!context.isStreaming) return;
  deps.log.warn("stream ended with an error", { requestId: context.id, code: error.code });
}
