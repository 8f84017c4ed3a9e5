import { Type } from "typebox";
import { invalidRequest, LmError } from "../lib/errors.ts";
import { recordAnswer } from "./access-log.ts";
import type { Server } from "./generation.ts";
import type { LogFeed, LogReader, LogSource } from "./log-feed.ts";
import type { GetRoute } from "./route.ts";
import { oneOf } from "./schema.ts";
import { sseResponse } from "./sse.ts";

const SOURCES: readonly LogSource[] = ["server", "model"];
const SOURCE = {
  name: "source",
  description: "What to show: the server's own log, or what models are asked and answer.",
  schema: Type.Array(oneOf(["server", "model"], "Default: both.")),
  example: ["server"],
};
/** Streams at the same time. */
const MAX_READERS = 16;

const EXAMPLE =
  'data: {"timestamp":1760000000000,"data":{"type":"server.log","level":"info","content":"request"}}\n\n';

/** GET /api/lmserver/logs?source=server,model: what happens from now on; an extension of our own. */
export function logsRoute(server: Server, feed: LogFeed): GetRoute {
  const { deps, metrics } = server;
  return {
    method: "GET",
    path: "/api/lmserver/logs",
    permission: "server:admin",
    doc: {
      summary: "Watch the log",
      tag: "System",
      query: [SOURCE],
      response: {
        description: "A stream without end: frames of `data:` and one JSON object.",
        schema: null,
        type: "text/event-stream",
        example: EXAMPLE,
      },
    },
    async answer(context) {
      const sources = readSources(new URL(context.request.url).searchParams);
      if (feed.readerCount >= MAX_READERS)
        throw new LmError("overloaded", { retryAfterMs: 1_000 }, "Too many readers of the log.");
      const reader = feed.open(sources);
      const abort = new AbortController();
      // A generator that waits cannot be ended from outside; its reader can.
      abort.signal.addEventListener("abort", () => reader.close());
      const response = await sseResponse(frames(reader), {
        clock: deps.clock,
        abort,
        encodeError: () => "",
        onEnd({ bytes, stalled }) {
          metrics.streams.add(-1);
          if (stalled) metrics.stalls.add(1);
          recordAnswer(server, context, { status: 200, bytes });
        },
      });
      metrics.streams.add(1);
      context.isStreaming = true;
      return response;
    },
  };
}

/** Begins with a comment, so that the reader sees at once that it is connected. */
async function* frames(reader: LogReader): AsyncGenerator<string, void, void> {
  try {
    yield ": log\n\n";
    for (let lines = await reader.next(); lines !== null; lines = await reader.next()) {
      for (const line of lines) yield `data: ${JSON.stringify(line)}\n\n`;
    }
  } finally {
    reader.close();
  }
}

function readSources(query: URLSearchParams): readonly LogSource[] {
  const words = query.getAll("source").flatMap((text) => text.split(","));
  const sources = SOURCES.filter((source) => words.includes(source));
  if (words.some((word) => !SOURCES.some((source) => source === word)))
    throw invalidRequest("source", "invalid_value", "'source' must be 'server' or 'model'.");
  return sources.length === 0 ? SOURCES : sources;
}
