import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** T-B7 on the product: clients that are slow on purpose cost nobody else anything. */

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ args: ["--load", "demo"] });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const EACH = 50;
const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "Hello" }] });
const head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
const typed = `${head}content-type: application/json\r\n`;
const stream = JSON.stringify({ ...(JSON.parse(body) as object), stream: true, max_tokens: 40 });

/** What each kind of slow client sends before it goes silent. */
const KINDS: Readonly<Record<string, string>> = {
  nothing: "",
  "half a head": head,
  "half a body": `${typed}content-length: 5000\r\n\r\n${body}`,
  "a stream that nobody reads": `${typed}content-length: ${stream.length}\r\n\r\n${stream}`,
};

function slowClient(bytes: string): Socket {
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.pause();
  socket.write(bytes);
  return socket;
}

const openFiles = (): number => readdirSync(`/proc/${server.pid}/fd`).length;

/** Connections to the server that the kernel has established. */
function connections(): number {
  const port = server.port.toString(16).toUpperCase().padStart(4, "0");
  const table = readFileSync(`/proc/${server.pid}/net/tcp`, "utf8").split("\n");
  return table.filter((line) => /^\s*\d+: \w+:(\w+) \S+ 01 /.exec(line)?.[1] === port).length;
}

async function running(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^lmserver_requests_running(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1] ?? "0");
}

const ask = (): Promise<Response> =>
  fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body,
  });

test.skipIf(process.platform !== "linux")(
  "fifty slow clients of each kind leave room for fifty requests, and nothing behind",
  async () => {
    await (await ask()).json();
    const baseline = openFiles();
    const slow = Object.values(KINDS).flatMap((bytes) =>
      Array.from({ length: EACH }, () => slowClient(bytes)),
    );
    await until(() => connections() >= slow.length, "the slow clients are connected");
    const answers = await Promise.all(Array.from({ length: 50 }, ask));
    for (const answer of answers) {
      expect(await answer.json()).toMatchObject({ choices: [{ finish_reason: "stop" }] });
    }
    for (const socket of slow) socket.destroy();
    await until(async () => (await running()) === 0, "the slots are free");
    await until(() => openFiles() <= baseline + 2, "the connections are closed");
  },
  60_000,
);
