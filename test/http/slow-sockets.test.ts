import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { createApp } from "../../src/http/app.ts";
import { chatBody, done, fakeDeps, finished, started, text } from "./fakes.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** T-B7: who may be slow and who may not, on a server that waits five seconds instead of thirty. */

const IDLE_SECONDS = 5;
const clock = new ManualClock();
const gate = Promise.withResolvers<void>();
/** Far more than the kernel holds for a connection. */
const LARGE_BYTES = 32 * 1024 * 1024;
const seen = { waiting: 0, endless: 0, aborted: 0, cut: 0 };
let server: Bun.Server<undefined>;

/** Counts the requests whose connection closed before their answer was out. */
function watched(call: Request): Request {
  call.signal.addEventListener("abort", () => (seen.cut += 1));
  return call;
}

beforeAll(() => {
  const app = createApp(
    fakeDeps({
      deps: { clock },
      generate: async function* ({ stops }, signal) {
        yield started();
        if (stops[0] === "endless") {
          seen.endless += 1;
          signal.addEventListener("abort", () => (seen.aborted += 1));
          for (;;) {
            if (signal.aborted) throw signal.reason;
            yield text("x".repeat(64 * 1024));
          }
        }
        if (stops[0] !== undefined) {
          yield text(stops[0] === "large" ? "x".repeat(LARGE_BYTES) : "Hello");
          yield finished();
          yield done;
          return;
        }
        yield text("Hel");
        seen.waiting += 1;
        await gate.promise;
        yield text("lo");
        yield finished();
        yield done;
      },
    }),
  );
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: IDLE_SECONDS,
    fetch: (call, connection) =>
      app.fetch(watched(call), {
        requestIP: (of) => connection.requestIP(of),
        timeout: (of, seconds) => connection.timeout(of, Math.min(seconds, IDLE_SECONDS)),
      }),
  });
});
afterAll(() => server.stop(true));

/** A client that sends only what it is told to. */
class SlowClient {
  readonly socket: Socket;
  closed = false;
  received = "";

  /** @param next What it sends when something came. */
  constructor(bytes: string, isReading = true, next = "") {
    this.socket = connect(server.port ?? 0, "127.0.0.1");
    this.socket.on("close", () => (this.closed = true));
    this.socket.on("error", () => (this.closed = true));
    this.socket.on("data", (data) => {
      if (this.received === "" && next !== "") this.socket.write(next);
      this.received += data.toString("latin1");
    });
    if (isReading) this.socket.resume();
    else this.socket.pause();
    this.socket.write(bytes);
  }
}

function request(body: string, declared = body.length): string {
  return (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n" +
    `content-type: application/json\r\ncontent-length: ${declared}\r\n\r\n${body}`
  );
}

const ask = (stream: boolean): Promise<Response> =>
  fetch(`http://127.0.0.1:${server.port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...chatBody, stream }),
  });

/** A request whose answer is whole and comes at once. */
const computed = (stop: string): string => request(JSON.stringify({ ...chatBody, stop }));

test("T-B7: a connection is as short-lived after a computed answer as before", async () => {
  const after = [
    new SlowClient(computed("quick")),
    new SlowClient(computed("quick"), true, "GET /health HTTP/1.1\r\nho"),
    new SlowClient(computed("quick"), true, request('{"messages":', 1000)),
  ];
  const reader = new SlowClient(computed("large"), false);
  reader.socket.on("data", () => reader.socket.pause());
  const stopped = new SlowClient(computed("large"), false);
  // Two have no whole answer: the half body's and that of the reader that stopped.
  const isWaitedFor = (): boolean => after.some(({ closed }) => !closed) || seen.cut < 2;
  while (isWaitedFor() || !reader.received.endsWith("}")) {
    reader.socket.resume();
    await Bun.sleep(20);
  }
  for (const { received } of after) expect(received).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(reader.received.length).toBeGreaterThan(LARGE_BYTES);
  expect(seen.cut).toBe(2);
  for (const { socket } of [reader, stopped]) socket.destroy();
}, 60_000);

test("T-B7: slow senders and readers that stop are cut off, quiet answers are not", async () => {
  const endless = request(JSON.stringify({ ...chatBody, stream: true, stop: "endless" }));
  const kinds = {
    silent: () => new SlowClient(""),
    "half a head": () => new SlowClient("POST /v1/chat/completions HTTP/1.1\r\nhost: lo"),
    "half a body": () => new SlowClient(request('{"messages":', 1000)),
    "a reader that stops": () => new SlowClient(endless, false),
  };
  const slow = Object.entries(kinds).flatMap(([kind, make]) =>
    Array.from({ length: 12 }, () => ({ kind, client: make() })),
  );
  const [stream, whole] = [ask(true), ask(false)];
  // A client that drips bytes must not live longer than one that sends none.
  const dripping = slow.filter(({ kind }) => kind === "half a head");
  const isOpen = ({ client }: { client: SlowClient }): boolean => !client.closed;
  const readersStopped = (): boolean => seen.aborted === 12 && seen.endless === 12;
  const senders = slow.filter(({ kind }) => kind !== "a reader that stops");
  while (senders.some(isOpen) || !readersStopped()) {
    for (const { client } of dripping.filter(isOpen)) client.socket.write("x");
    await clock.pass(1_000); // pings are due every 15 of these seconds
    await Bun.sleep(50);
  }
  // The quiet ones have outlived them all, and end as if nothing had happened.
  expect(seen.waiting).toBe(2);
  gate.resolve();
  expect(await (await stream).text()).toEndWith("data: [DONE]\n\n");
  expect(await (await whole).json()).toMatchObject({
    choices: [{ message: { content: "Hello" } }],
  });
  for (const { client } of slow) client.socket.destroy();
}, 60_000);
