import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type TestServer, childrenOf, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Clients that leave, in each way a connection can end, at each stage of a request. */

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ args: ["--parallel", "1"] });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const LEAVING: readonly { how: string; leave: (socket: Socket) => void }[] = [
  { how: "FIN", leave: (socket) => socket.destroy() },
  { how: "RST", leave: (socket) => socket.resetAndDestroy() },
  { how: "half-close", leave: (socket) => socket.end() },
];

const HEAD =
  "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

function whole(body: object): string {
  const text = JSON.stringify({ model: "demo", ignore_eos: true, ...body });
  return `${HEAD}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

const long = { prompt: "The", max_tokens: 1_900 };
const heavy = {
  prompt: Array.from({ length: 1_800 }, (_, at) => 10 + (at % 200)),
  max_tokens: 200,
};

interface Client {
  socket: Socket;
  received: number;
}

function client(bytes: string): Client {
  const made: Client = { socket: connect(server.port, "127.0.0.1"), received: 0 };
  made.socket.on("data", (chunk) => (made.received += chunk.length));
  made.socket.on("error", () => undefined);
  made.socket.write(bytes);
  return made;
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

const running = (): Promise<number> => metric("lmserver_requests_running");
const waiting = (): Promise<number> => metric("lmserver_requests_queued");
const isIdle = async (): Promise<boolean> => (await running()) + (await waiting()) === 0;

/** Where a request can be when its client leaves; `reach` brings a new client there. */
const STAGES: readonly { stage: string; reach: () => Promise<Client> }[] = [
  { stage: "before the first byte", reach: async () => client("") },
  { stage: "in the head", reach: async () => client(HEAD) },
  {
    stage: "in the body",
    reach: async () => client(whole(long).slice(0, -5)),
  },
  {
    stage: "while the prompt is read or the answer computed",
    reach: async () => {
      const made = client(whole(heavy));
      await until(async () => (await running()) > 0, "it runs");
      return made;
    },
  },
  {
    stage: "in the middle of a stream",
    reach: async () => {
      const made = client(whole({ ...long, stream: true }));
      await until(() => made.received > 2_000, "it streams");
      return made;
    },
  },
  {
    stage: "after the answer",
    reach: async () => {
      const made = client(whole({ prompt: "The", max_tokens: 1 }));
      await until(() => made.received > 200, "it is answered");
      return made;
    },
  },
];

async function answers(): Promise<void> {
  const answer = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "demo", prompt: "The quick", max_tokens: 2 }),
  });
  expect(answer.status).toBe(200);
  await answer.text();
}

let startsOfLoads = 0;

test("whoever leaves while a model is loaded leaves no job behind", async () => {
  for (const { leave } of LEAVING) {
    const { socket } = client(whole(long));
    await until(() => childrenOf(server.pid).length === 1, "the load began");
    leave(socket);
  }
  await answers();
  await until(isIdle, "nothing runs");
  // Loads that nobody waited for any more have ended.
  startsOfLoads = await metric("lmserver_engine_starts_total");
});

describe.each(LEAVING)("a client that leaves by $how", ({ leave }) => {
  afterEach(async () => {
    await until(isIdle, "nothing runs and nothing waits");
    await answers();
  });

  test.each(STAGES)("$stage", async ({ reach }) => {
    const { socket } = await reach();
    leave(socket);
  });

  test("in the middle of a stream, whose tokens are counted", async () => {
    const before = await metric("lmserver_completion_tokens_total");
    const streaming = client(whole({ ...long, stream: true }));
    await until(() => streaming.received > 4_000, "it streams");
    leave(streaming.socket);
    await until(isIdle, "nothing runs");
    await until(async () => {
      return (await metric("lmserver_completion_tokens_total")) > before + 10;
    }, "it is counted");
  });

  test("in the queue, while the one before streams on untouched", async () => {
    const first = client(whole({ ...long, stream: true }));
    await until(() => first.received > 0, "the first streams");
    const queued = client(whole(long));
    await until(async () => (await waiting()) > 0, "the second waits");
    leave(queued.socket);
    await until(async () => (await waiting()) === 0, "the queue is empty");
    const before = first.received;
    await until(() => first.received > before, "the first goes on");
    first.socket.destroy();
  });
});

test("they were cancelled, and no engine was lost", async () => {
  expect(await metric("lmserver_cancel_total")).toBeGreaterThan(0);
  expect(await metric("lmserver_engine_starts_total")).toBe(startsOfLoads);
});
