/** Bytes of a body, and when they came, in ms after the request was sent. */
export interface Arrival {
  atMs: number;
  bytes: Uint8Array;
}

/**
 * Posts JSON on a connection of its own and notes when which bytes came; nothing is read before the end.
 * A client that parses as it receives takes a processor from the server that it measures: 0.25 ms per token
 * with `fetch`, which on two busy cores delays a decode as much.
 * @throws Error when the answer's status is not 200.
 */
export async function rawPost(url: string, body: unknown): Promise<Arrival[]> {
  const { hostname, port, host, pathname } = new URL(url);
  const payload = Buffer.from(JSON.stringify(body));
  const head = [
    `POST ${pathname} HTTP/1.1`,
    `host: ${host}`,
    "content-type: application/json",
    `content-length: ${payload.length}`,
    "connection: close",
  ];
  const received: Arrival[] = [];
  const over = Promise.withResolvers<void>();
  const begun = performance.now();
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open(socket) {
        const request = Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), payload]);
        // The socket's buffer is larger than any prompt here.
        if (socket.write(request) < request.length)
          over.reject(new Error("The request is too long"));
      },
      data(_socket, bytes) {
        received.push({ atMs: performance.now() - begun, bytes: Uint8Array.from(bytes) });
      },
      close: () => over.resolve(),
      error: (_socket, error) => over.reject(error),
      connectError: (_socket, error) => over.reject(error),
    },
  });
  await over.promise;
  return bodyOf(received);
}

/** Takes the head and the marks of the chunks away. */
function bodyOf(received: readonly Arrival[]): Arrival[] {
  const all = Buffer.concat(received.map(({ bytes }) => bytes));
  const start = all.indexOf("\r\n\r\n") + 4;
  const head = all.toString("latin1", 0, start).toLowerCase();
  if (!head.startsWith("http/1.1 200")) throw new Error(all.toString());
  const isChunked = head.includes("transfer-encoding: chunked");
  const pieces = isChunked ? chunkRanges(all, start) : [{ from: start, to: all.length }];
  const arrivals: Arrival[] = [];
  let end = 0;
  let next = 0;
  for (const { from, to } of pieces) {
    // A piece has come when its last byte has.
    while (end < to) end += received[next++]?.bytes.length ?? Infinity;
    arrivals.push({ atMs: received[next - 1]?.atMs ?? 0, bytes: all.subarray(from, to) });
  }
  return arrivals;
}

function chunkRanges(all: Buffer, start: number): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (let at = start; ;) {
    const line = all.indexOf("\r\n", at);
    const size = Number.parseInt(all.toString("latin1", at, line), 16);
    if (line < 0 || Number.isNaN(size)) throw new Error("The stream broke off");
    if (size === 0) return ranges;
    ranges.push({ from: line + 2, to: line + 2 + size });
    at = line + 2 + size + 2;
  }
}
