import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { createApp } from "../../src/http/app.ts";
import { chatBody, done, fakeDeps, finished, started, text } from "./fakes.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** T-B7: who may be slow and who may not, on a server that waits five seconds instead of thirty. */

const IDLE_SECONDS = 5;
const clock = new ManualClock();
const gate = Promise.withResolvers<void>();
const seen = { waiting: 0, endless: 0, aborted: 0 };
let server: Bun.Server<undefined>;

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
    fetch: (call, connection) => app.fetch(call, connection),
  });
});
afterAll(() => server.stop(true));

/** A client that sends only what it is told to. */
class SlowClient {
  readonly socket: Socket;
  closed = false;

  constructor(bytes: string, isReading = true) {
    this.socket = connect(server.port ?? 0, "127.0.0.1");
    this.socket.on("close", () => (this.closed = true));
    this.socket.on("error", () => (this.closed = true));
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
