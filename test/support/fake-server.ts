/** What a client asked. */
export interface SeenRequest {
  method: string;
  path: string;
  headers: Headers;
  body: unknown;
  /** Aborted when the client leaves. */
  signal: AbortSignal;
}

/** A server that says what a test wants, to show what clients make of it. */
export interface FakeServer extends Disposable {
  port: number;
  /** The flags that lead a verb to it. */
  where: readonly string[];
  requests: readonly SeenRequest[];
}

type Answer = (seen: SeenRequest) => Response | Promise<Response>;

/** Answers by path; 404 in the product's words for every other. */
export function startFakeServer(answers: Readonly<Record<string, Answer>>): FakeServer {
  const requests: SeenRequest[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    async fetch(request) {
      const { method, headers, url, signal } = request;
      const text = await request.text();
      const body: unknown = text === "" ? null : JSON.parse(text);
      const { pathname, search } = new URL(url);
      const seen = { method, path: pathname + search, headers, body, signal };
      requests.push(seen);
      const answer = answers[pathname];
      if (answer !== undefined) return answer(seen);
      const error = { type: "invalid_request", message: "Unexpected endpoint or method." };
      return Response.json({ error }, { status: 404 });
    },
  });
  const port = server.port ?? 0;
  return {
    port,
    where: ["--host", "127.0.0.1", "--port", String(port)],
    requests,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

/** A stream of server-sent events; `undefined` = it stays open until the reader leaves. */
export function eventStream(events: readonly (string | undefined)[]): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const event of events) {
        if (event === undefined) return;
        controller.enqueue(encoder.encode(`data: ${event}\n\n`));
      }
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

/** One piece of a chat answer. */
export const chatChunk = (delta: Record<string, string>, finish: string | null = null): string =>
  JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] });

/** `GET /api/v1/models` of language models. */
export const modelList = (...keys: readonly string[]): Response =>
  Response.json({
    models: keys.map((key) => ({
      type: "llm",
      key,
      display_name: key,
      publisher: "pub",
      size_bytes: 1_000,
      max_context_length: 4_096,
      params_string: null,
      quantization: null,
      loaded_instances: [],
      ...(key.includes("@") && { selected_variant: key }),
    })),
  });
