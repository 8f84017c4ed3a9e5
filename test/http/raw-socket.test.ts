import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { createApp } from "../../src/http/app.ts";
import { IDLE_TIMEOUT_SECONDS } from "../../src/lib/limits.ts";
import { chatBody, fakeDeps, started, text } from "./fakes.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { until } from "../support/until.ts";

let server: Bun.Server<undefined>;
const clock = new ManualClock();
/** Of the endless stream: when it was asked for its last block, and when it was ended. */
const seen = { pulledMs: 0, abortedMs: 0 };
const block = "x".repeat(64 * 1024);

beforeAll(() => {
  const app = createApp(
    fakeDeps({
      deps: { clock },
      settings: { allowedHosts: ["a", "nas"] },
      generate: async function* ({ stops }, signal) {
        yield started();
        if (stops[0] !== "endless") throw new TypeError("bug");
        signal.addEventListener("abort", () => (seen.abortedMs = clock.monotonicMs()));
        for (;;) {
          if (signal.aborted) throw signal.reason;
          seen.pulledMs = clock.monotonicMs();
          yield text(block);
        }
      },
    }),
  );
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    fetch: (request, connection) => app.fetch(request, connection),
  });
});
afterAll(() => server.stop(true));

/** Sends bytes as they are and returns all that comes back until the connection closes. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(server.port ?? 0, "127.0.0.1");
  let received = "";
  socket.on("data", (data) => (received += data.toString("latin1")));
  socket.end(bytes);
  await new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("error", () => resolve());
  });
  return received;
}

const ask = (line: string, ...headers: string[]): Promise<string> =>
  exchange(`${[line, ...headers, "connection: close"].join("\r\n")}\r\n\r\n`);

const status = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);

describe("requests as bytes", () => {
  type Row = { name: string; line: string; headers: string[]; status: number; code?: string };
  const rows: Row[] = [
    {
      name: "an ordinary one",
      line: "GET /health HTTP/1.1",
      headers: ["host: localhost"],
      status: 200,
    },
    {
      name: "two Hosts",
      line: "GET /health HTTP/1.1",
      headers: ["host: localhost", "host: evil.example"],
      status: 400,
    },
    { name: "no Host", line: "GET /health HTTP/1.1", headers: [], status: 400 },
    {
      name: "HTTP/1.0 without Host elsewhere",
      line: "GET /v1/models HTTP/1.0",
      headers: [],
      status: 400,
    },
    {
      name: "HTTP/1.0 with an empty Host",
      line: "GET /health HTTP/1.0",
      headers: ["host:"],
      status: 400,
    },
    {
      name: "HTTP/1.0 with a foreign Host",
      line: "GET /health HTTP/1.0",
      headers: ["host: evil.example"],
      status: 403,
    },
    {
      name: "a Host with a space",
      line: "GET /health HTTP/1.1",
      headers: ["host: a b"],
      status: 400,
    },
    {
      name: "a Host with a user",
      line: "GET /health HTTP/1.1",
      headers: ["host: x@y"],
      status: 400,
    },
    {
      name: "a Host with a path",
      line: "GET /health HTTP/1.1",
      headers: ["host: h/x"],
      status: 400,
    },
    {
      name: "a foreign Host",
      line: "GET /health HTTP/1.1",
      headers: ["host: evil.example"],
      status: 403,
      code: "host_not_allowed",
    },
    {
      name: "an absolute target of a foreign host",
      line: "GET http://evil.example/health HTTP/1.1",
      headers: ["host: evil.example"],
      status: 403,
      code: "host_not_allowed",
    },
    {
      // Bun shows the path alone, which then is judged by the Host that was sent.
      name: "an absolute target of a foreign host beside a Host of ours",
      line: "GET http://evil.example/v1/models HTTP/1.1",
      headers: ["host: localhost"],
      status: 200,
    },
    {
      name: "TRACE",
      line: "TRACE /health HTTP/1.1",
      headers: ["host: localhost"],
      status: 405,
      code: "method_not_allowed",
    },
    {
      name: "TRACE for a foreign host",
      line: "TRACE /health HTTP/1.1",
      headers: ["host: evil.example"],
      status: 403,
      code: "host_not_allowed",
    },
    {
      name: "TRACE on no route",
      line: "TRACE /nowhere HTTP/1.1",
      headers: ["host: localhost"],
      status: 404,
      code: "unknown_url",
    },
    {
      name: "a folded path",
      line: "GET /x/%2e%2e/health HTTP/1.1",
      headers: ["host: localhost"],
      status: 200,
    },
    {
      name: "an escape that is none",
      line: "GET /v1/models/%zz HTTP/1.1",
      headers: ["host: localhost"],
      status: 400,
      code: "invalid_value",
    },
    {
      name: "an escaped NUL",
      line: "GET /v1/models/%00 HTTP/1.1",
      headers: ["host: localhost"],
      status: 404,
      code: "model_not_found",
    },
    {
      name: "doubled slashes",
      line: "GET //v1//models// HTTP/1.1",
      headers: ["host: localhost"],
      status: 200,
    },
  ];
  test.each(rows)("$name", async ({ line, headers, status: expected, code }) => {
    const answer = await ask(line, ...headers);
    expect(status(answer)).toBe(expected);
    if (code) expect(answer).toContain(`"code":"${code}"`);
  });

  test("a method that nothing has is told what the route has", async () => {
    for (const method of ["TRACE", "PROPFIND", "PUT"]) {
      const answer = await ask(`${method} /health HTTP/1.1`, "host: localhost");
      expect(status(answer)).toBe(405);
      expect(answer.toLowerCase()).toContain("\r\nallow: get, head, options\r\n");
    }
  });

  test("a health check of HTTP/1.0 needs no Host", async () => {
    for (const path of [
      "/health",
      "/v1/health",
      "/livez",
      "/readyz",
      "/",
      "//health/?x=http://y",
    ]) {
      expect(status(await ask(`GET ${path} HTTP/1.0`))).toBe(200);
    }
    expect(status(await ask("HEAD /health HTTP/1.0"))).toBe(200);
    expect(status(await ask("OPTIONS / HTTP/1.0"))).toBe(204);
  });

  test("a name of few letters is a Host like any other", async () => {
    for (const host of ["a", "nas", "a:1"]) {
      for (const path of ["/health", "/v1/models", "/swagger"]) {
        expect(status(await ask(`GET ${path} HTTP/1.1`, `host: ${host}`))).toBe(200);
      }
    }
  });

  test("HEAD tells the length and sends no body", async () => {
    const answer = await ask("HEAD /lmstudio-greeting HTTP/1.1", "host: localhost");
    const [head = "", body] = answer.split("\r\n\r\n");
    expect(status(answer)).toBe(200);
    expect(head.toLowerCase()).toContain("content-length: 17");
    expect(body).toBe("");
  });

  test("T-B9: nothing a client sends becomes a header or breaks one", async () => {
    const evil = "%0d%0aSet-Cookie:%20x=1";
    for (const path of [`/v1/models/${evil}`, `/${evil}`, `/v1/models/%1b%5d52;c;x%07`]) {
      const answer = await ask(
        `GET ${path} HTTP/1.1`,
        "host: localhost",
        "x-request-id: mine",
        "user-agent: \x1b]52;c;x\x07",
      );
      const [head = ""] = answer.split("\r\n\r\n");
      expect(head.toLowerCase()).not.toContain("set-cookie");
      expect(head).not.toContain("mine");
      expect(answer).not.toContain("\x1b");
    }
  });
});

test("a reader that stops reading is cut off after a minute, and generation ends", async () => {
  const body = JSON.stringify({ ...chatBody, stream: true, stop: "endless" });
  const socket = connect(server.port ?? 0, "127.0.0.1");
  socket.pause();
  socket.write(
    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" +
      `content-length: ${body.length}\r\n\r\n${body}`,
  );
  await until(async () => {
    if (seen.pulledMs > 0) await clock.pass(1_000);
    return seen.abortedMs > 0;
  });
  expect(seen.abortedMs - seen.pulledMs).toBeWithin(60_000, 76_001);
  socket.destroy();
});
