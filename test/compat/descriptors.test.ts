import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Connections beyond those that the server can accept. */
const CROWD = 60;
const isPossible = process.platform === "linux" && Bun.which("prlimit") !== null;
if (!isPossible) console.warn("no prlimit here: a server out of descriptors is not tested");

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ args: ["--load", "demo"] });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const openFiles = (): number => readdirSync(`/proc/${server.pid}/fd`).length;

function hasThread(name: string): boolean {
  const tasks = `/proc/${server.pid}/task`;
  return readdirSync(tasks).some(
    (task) => readFileSync(`${tasks}/${task}/comm`, "utf8").trim() === name,
  );
}

/** Sends bytes and waits for the first that come back; "" when the connection closes instead. */
function exchange(socket: Socket, bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once("data", (data) => resolve(data.toString("latin1")));
  socket.once("close", () => resolve(""));
  socket.write(bytes);
  return promise;
}

test.skipIf(!isPossible)(
  "F17: without a descriptor the first chat is answered on a kept connection, and the server lives",
  async () => {
    const kept = connect(server.port, "127.0.0.1");
    await exchange(kept, "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await until(() => hasThread("Worker"), "a thread for templates is ready");
    const limit = openFiles() + 16;
    const limited = Bun.spawnSync(["prlimit", `--pid=${server.pid}`, `--nofile=${limit}:${limit}`]);
    expect(limited.exitCode).toBe(0);
    const crowd = Array.from({ length: CROWD }, () => connect(server.port, "127.0.0.1"));
    for (const socket of crowd) socket.on("error", () => undefined);
    await until(() => openFiles() >= limit, "no descriptor is left");
    const body = JSON.stringify({ model: "demo", messages: [{ role: "user", content: "Hello" }] });
    const answer = await exchange(
      kept,
      "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" +
        `content-length: ${body.length}\r\n\r\n${body}`,
    );
    expect(answer).toStartWith("HTTP/1.1 200 OK\r\n");
    for (const socket of [...crowd, kept]) socket.destroy();
    await until(async () => {
      const alive = await fetch(`${server.url}/livez`).catch(() => null);
      return alive?.status === 200;
    }, "connections are accepted again");
  },
  60_000,
);
