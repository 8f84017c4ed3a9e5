import type { Server } from "./servers.ts";

/** A stream that can be watched while it runs. */
export interface LiveStream {
  /** Of each piece of text so far, by the clock of `performance.now`. */
  readonly arrivalsMs: readonly number[];
  /** Leaves; resolves when the server has noticed. */
  stop(): Promise<void>;
}

/** Streams a completion until it is stopped. Rejects unless the server takes it. */
export async function startStream(server: Server, prompt: string): Promise<LiveStream> {
  const abort = new AbortController();
  const response = await fetch(`${server.baseUrl}/v1/completions`, {
    method: "POST",
    keepalive: false,
    signal: abort.signal,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: server.model,
      prompt,
      max_tokens: 4_000,
      temperature: 0,
      ignore_eos: true,
      stream: true,
    }),
  });
  if (!response.ok || response.body === null) throw new Error(await response.text());
  const arrivalsMs: number[] = [];
  const read = async (body: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of body) {
      if (/"text":\s*"[^"]/.test(decoder.decode(bytes))) arrivalsMs.push(performance.now());
    }
  };
  const ended = read(response.body).catch(() => {
    // It was stopped.
  });
  return {
    arrivalsMs,
    async stop() {
      abort.abort();
      await ended;
    },
  };
}

/** Times between neighbours that lie within [from, to). */
export function gapsWithin({ arrivalsMs }: LiveStream, from: number, to: number): number[] {
  return arrivalsMs.flatMap((at, index) => {
    const before = arrivalsMs[index - 1];
    return before !== undefined && before >= from && at < to ? [at - before] : [];
  });
}

/** Waits until every stream has so many pieces of text. */
export async function reached(streams: readonly LiveStream[], pieces: number): Promise<void> {
  while (streams.some((stream) => stream.arrivalsMs.length < pieces)) await Bun.sleep(5);
}
