import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type TestServer, startServer } from "../support/server.ts";

/** Who is let in by the running product: origins, hosts, keys; and a server without models. */

const PAGE = "https://a.example";
const FOREIGN = "https://b.example";
const MODES = [
  { name: "off", args: [], own: null },
  { name: "all", args: ["--cors"], own: "*" },
  { name: "listed", args: [`--cors=${PAGE},http://localhost:*`], own: PAGE },
] as const;

const KEY = "door-key";
const chat = (stream: boolean): RequestInit => ({
  method: "POST",
  body: JSON.stringify({
    model: "demo",
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 2,
    stream,
  }),
});
const CHAT = "/v1/chat/completions";

/** What is asked, by whom it is refused: a foreign page may not post where CORS is off for it. */
const KINDS: readonly { name: string; path: string; init?: RequestInit; hasKey?: boolean }[] = [
  { name: "a list", path: "/v1/models" },
  { name: "an answer", path: CHAT, init: chat(false) },
  { name: "a stream", path: CHAT, init: chat(true) },
  { name: "an unknown route", path: "/nowhere" },
  { name: "no key", path: "/v1/models", hasKey: false },
];

describe.each(MODES)("CORS $name", ({ args, own }) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ args: ["--api-key", KEY, ...args] });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  async function ask(kind: (typeof KINDS)[number], origin: string): Promise<Response> {
    const headers = {
      "content-type": "application/json",
      origin,
      ...(kind.hasKey === false ? {} : { authorization: `Bearer ${KEY}` }),
    };
    const answer = await fetch(`${server.url}${kind.path}`, { ...kind.init, headers });
    await answer.text();
    return answer;
  }

  test.each(KINDS)("$name", async (kind) => {
    const isPost = kind.init !== undefined;
    const expected = kind.hasKey === false ? 401 : kind.path === "/nowhere" ? 404 : 200;
    for (const origin of [PAGE, FOREIGN]) {
      const isAllowed = own === "*" || own === origin;
      const answer = await ask(kind, origin);
      expect(answer.status).toBe(isAllowed || !isPost ? expected : 403);
      expect(answer.headers.get("access-control-allow-origin")).toBe(isAllowed ? own : null);
      expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
      if (isAllowed) {
        expect(answer.headers.get("access-control-expose-headers")).toContain("x-request-id");
      }
      if (own === PAGE) expect(answer.headers.get("vary")).toMatch(/origin/i);
    }
  });

  test("a preflight needs no key", async () => {
    const answer = await fetch(`${server.url}${CHAT}`, {
      method: "OPTIONS",
      headers: {
        origin: PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-stainless-os",
        "access-control-request-private-network": "true",
      },
    });
    expect(answer.status).toBe(204);
    const isOpen = own !== null;
    const allowed = {
      "access-control-allow-origin": own,
      "access-control-allow-methods": isOpen ? "GET, POST, DELETE, OPTIONS" : null,
      "access-control-allow-headers": isOpen ? "authorization,x-stainless-os" : null,
      "access-control-max-age": isOpen ? "86400" : null,
      "access-control-allow-private-network": isOpen ? "true" : null,
    };
    for (const [name, value] of Object.entries(allowed)) {
      expect(`${name}: ${answer.headers.get(name)}`).toBe(`${name}: ${value}`);
    }
  });
});

describe("a server without models", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ args: ["--no-demo"] });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  test("lists none, and a chat is 404", async () => {
    const list = await (await fetch(`${server.url}/v1/models`)).json();
    expect(list).toMatchObject({ object: "list", data: [], first_id: null, last_id: null });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${server.url}${CHAT}`, { ...chat(false), headers });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { code: "model_not_found" } });
  });

  /** First line of the answer to a request with this Host header, or none. */
  function statusOf(path: string, ...lines: string[]): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    let text = "";
    const socket = connect(server.port, "127.0.0.1");
    socket.on("data", (bytes) => (text += bytes.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(text.split(" ")[1])));
    socket.end([`GET ${path} HTTP/1.1`, ...lines, "connection: close", "", ""].join("\r\n"));
    return promise;
  }

  const hosts: readonly { host: string; status: number }[] = [
    ...["localhost", "localhost:1234", "127.0.0.1", "[::1]", "app.localhost"].map((host) => ({
      host,
      status: 200,
    })),
    ...["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "0.0.0.0", "localhost."].map(
      (host) => ({ host, status: 403 }),
    ),
    ...["", "a b", "x@localhost", "localhost/x", "localhost, localhost"].map((host) => ({
      host,
      status: 400,
    })),
  ];
  test.each(hosts)("Host '$host' is $status on every route", async ({ host, status }) => {
    for (const path of ["/health", "/v1/models", "/swagger", "/metrics"]) {
      expect(await statusOf(path, `host: ${host}`)).toBe(status);
    }
  });

  test("two Host headers are refused", async () => {
    expect(await statusOf("/health", "host: localhost", "host: localhost")).toBe(400);
  });
});
