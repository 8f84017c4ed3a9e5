import { describe, expect, test } from "bun:test";
import { appWith, chatBody, errorOf, get, post } from "./fakes.ts";
import type { HttpSettings } from "../../src/http/deps.ts";

const ROUTES: readonly (readonly [method: "GET" | "POST", path: string])[] = [
  ["GET", "/v1/models"],
  ["GET", "/v1/models/acme%2Ftiny"],
  ["POST", "/v1/chat/completions"],
  ["POST", "/v1/completions"],
  ["POST", "/v1/embeddings"],
  ["POST", "/v1/chat/completions/input_tokens"],
  ["POST", "/v1/chat/completions/render"],
  ["GET", "/"],
  ["GET", "/health"],
  ["GET", "/v1/health"],
  ["GET", "/livez"],
  ["GET", "/readyz"],
  ["GET", "/lmstudio-greeting"],
  ["GET", "/version"],
  ["GET", "/metrics"],
  ["GET", "/api/lmserver/instances"],
  ["GET", "/api/lmserver/adapters"],
  ["GET", "/api/lmserver/models"],
  ["GET", "/swagger"],
  ["GET", "/swagger/json"],
  ["GET", "/swagger/swagger-ui.css"],
  ["GET", "/nowhere"],
];

const body = { ...chatBody, prompt: "x", input: "x", model: undefined };
const send = (method: string, path: string, headers: Record<string, string> = {}): Request =>
  method === "POST" ? post(path, body, headers) : get(path, headers, method);

describe("Host (T-A1)", () => {
  test.each(ROUTES)("%s %s refuses a rebound name before anything else", async (method, path) => {
    let calls = 0;
    const app = appWith({
      generate: async function* () {
        calls++;
        yield* [];
      },
    });
    for (const verb of [method, "OPTIONS", "DELETE"]) {
      const response = await app.handle(send(verb, path, { host: "evil.example" }));
      expect(response.status).toBe(403);
      expect((await errorOf(response)).code).toBe("host_not_allowed");
    }
    expect(calls).toBe(0);
  });

  type Row = { host: string; status: number; settings?: Partial<HttpSettings> };
  const lan = { bindAddress: "0.0.0.0", hostname: "Box" };
  const rows: Row[] = [
    { host: "localhost", status: 200 },
    { host: "LOCALHOST:1234", status: 200 },
    { host: "127.0.0.1:1234", status: 200 },
    { host: "127.8.9.1", status: 200 },
    { host: "[::1]:1234", status: 200 },
    { host: "app.localhost:1", status: 200 },
    { host: "host.docker.internal:1234", status: 200 },
    { host: "localhost.evil.example", status: 403 },
    { host: "127.0.0.1.nip.io", status: 403 },
    { host: "0.0.0.0", status: 403 },
    { host: "localhost.", status: 403 },
    { host: "192.168.1.5", status: 403 },
    { host: "", status: 400 },
    { host: "localhost, evil.example", status: 400 },
    { host: "a b", status: 400 },
    { host: "x@localhost", status: 400 },
    { host: "localhost/x", status: 400 },
    { host: "localhost:123456", status: 400 },
    { host: "evil.example", status: 200, settings: { allowedHosts: ["Evil.Example"] } },
    { host: "192.168.1.5:1234", status: 200, settings: lan },
    { host: "[fe80::1]", status: 200, settings: lan },
    { host: "box", status: 200, settings: lan },
    { host: "box.local", status: 200, settings: lan },
    { host: "box.tail.ts.net", status: 200, settings: lan },
    { host: "localhost", status: 200, settings: lan },
    { host: "evil.example", status: 403, settings: lan },
    { host: "evil.example", status: 200, settings: { ...lan, apiKeys: ["k"] } },
    { host: "evil.example", status: 200, settings: { ...lan, requireAuth: true } },
    { host: "evil.example", status: 403, settings: { apiKeys: ["k"] } },
  ];
  test.each(rows)(
    "$host is answered $status with $settings",
    async ({ host, status, settings }) => {
      const response = await appWith(settings ? { settings } : {}).handle(get("/health", { host }));
      expect(response.status).toBe(status);
    },
  );
});

describe("foreign origins (T-A2)", () => {
  type Row = { origin: string; isRefused: boolean };
  const rows: Row[] = [
    { origin: "null", isRefused: true },
    { origin: "http://a.test", isRefused: true },
    { origin: "https://a.example:8443", isRefused: true },
    { origin: "https://localhost.evil.example", isRefused: true },
    { origin: "http://127.0.0.1.nip.io", isRefused: true },
    { origin: "http://localhost@evil.example", isRefused: true },
    { origin: "HTTPS://A.EXAMPLE", isRefused: true },
    { origin: "http://localhost:3000", isRefused: false },
    { origin: "http://127.0.0.1:8080", isRefused: false },
    { origin: "http://[::1]:8080", isRefused: false },
    { origin: "app://obsidian.md", isRefused: false },
    { origin: "tauri://localhost", isRefused: false },
    { origin: "vscode-webview://abc", isRefused: false },
    { origin: "chrome-extension://abc", isRefused: false },
    { origin: "file://", isRefused: false },
  ];
  test.each(rows)("POST from $origin is refused: $isRefused", async ({ origin, isRefused }) => {
    let calls = 0;
    const app = appWith({
      generate: async function* () {
        calls++;
        yield* [];
      },
    });
    const untyped = new Request("http://localhost:1234/v1/chat/completions", {
      method: "POST",
      headers: { host: "localhost:1234", origin },
      body: new Blob([JSON.stringify(chatBody)]),
    });
    const response = await app.handle(untyped);
    expect(response.status === 403).toBe(isRefused);
    expect(calls).toBe(isRefused ? 0 : 1);
    const read = await app.handle(get("/v1/models", { origin }));
    expect(read.status).toBe(200);
    expect(read.headers.has("access-control-allow-origin")).toBe(false);
  });

  test("a cross-site request without an origin is refused unless it only reads", async () => {
    const site = { "sec-fetch-site": "cross-site" };
    const app = appWith();
    expect((await app.handle(post("/v1/chat/completions", chatBody, site))).status).toBe(403);
    expect((await app.handle(get("/v1/models", site))).status).toBe(200);
  });

  test("the server's own address is not foreign", async () => {
    const settings = { bindAddress: "0.0.0.0" };
    const own = { host: "192.168.1.5:1234", origin: "http://192.168.1.5:1234" };
    const other = { host: "192.168.1.5:1234", origin: "http://192.168.1.6:1234" };
    const app = appWith({ settings });
    expect((await app.handle(post("/v1/chat/completions", chatBody, own))).status).toBe(200);
    expect((await app.handle(post("/v1/chat/completions", chatBody, other))).status).toBe(403);
  });
});

/** What SDKs in a page act upon, and what lmserver warns with. */
const EXPOSED = [
  "x-request-id",
  "request-id",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "openai-processing-ms",
  "x-lmserver-warning",
];

describe("CORS (T-A5)", () => {
  const list = ["https://a.example", "http://localhost:*"];
  type Row = { cors: HttpSettings["cors"]; origin: string; allow: string | null };
  const rows: Row[] = [
    { cors: null, origin: "https://a.example", allow: null },
    { cors: "*", origin: "https://a.example", allow: "*" },
    { cors: "*", origin: "null", allow: "*" },
    { cors: list, origin: "https://a.example", allow: "https://a.example" },
    { cors: list, origin: "http://localhost:5173", allow: "http://localhost:5173" },
    { cors: list, origin: "http://localhost", allow: "http://localhost" },
    { cors: list, origin: "https://a.example.evil.com", allow: null },
    { cors: list, origin: "http://a.example", allow: null },
    { cors: list, origin: "HTTPS://A.EXAMPLE", allow: null },
    { cors: list, origin: "http://localhost:5173.evil.com", allow: null },
    { cors: list, origin: "http://localhost:", allow: null },
    { cors: list, origin: "null", allow: null },
  ];
  test.each(rows)("cors $cors, origin $origin: $allow", async ({ cors, origin, allow }) => {
    const app = appWith({ settings: { cors, apiKeys: ["k"] } });
    const key = { origin, authorization: "Bearer k" };
    const answers = {
      get: await app.handle(get("/v1/models", key)),
      notFound: await app.handle(get("/nowhere", key)),
      unauthorized: await app.handle(get("/v1/models", { origin })),
      invalid: await app.handle(post("/v1/chat/completions", "{", key)),
      post: await app.handle(post("/v1/chat/completions", chatBody, key)),
      stream: await app.handle(post("/v1/chat/completions", { ...chatBody, stream: true }, key)),
      badHost: await app.handle(get("/health", { origin, host: "evil.example" })),
    };
    expect(answers.notFound.status).toBe(404);
    expect(answers.unauthorized.status).toBe(401);
    expect(answers.badHost.status).toBe(403);
    for (const response of Object.values(answers)) {
      const { headers } = response;
      expect(headers.get("access-control-allow-origin")).toBe(allow);
      expect(headers.has("access-control-allow-credentials")).toBe(false);
      expect(headers.has("access-control-allow-headers")).toBe(false);
      expect(headers.get("vary")).toBe(Array.isArray(cors) ? "Origin" : null);
      const exposed = headers.get("access-control-expose-headers")?.split(/, ?/) ?? [];
      expect(exposed).toEqual(allow === null ? [] : EXPOSED);
      await response.text();
    }
  });

  test("a page that may ask but not manage is told what would let it", async () => {
    const app = appWith({ settings: { cors: "*" } });
    const origin = "https://a.example";
    const refused = await app.handle(post("/api/v1/models/unload", {}, { origin }));
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("--cors=https://");
  });

  const preflight = {
    origin: "https://a.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, x-stainless-os",
    "access-control-request-private-network": "true",
  };

  test("a preflight is answered without a key and echoes the wanted headers", async () => {
    for (const cors of ["*" as const, list]) {
      const app = appWith({ settings: { cors, apiKeys: ["k"] } });
      const response = await app.handle(get("/v1/chat/completions", preflight, "OPTIONS"));
      expect(response.status).toBe(204);
      const { headers } = response;
      expect(headers.get("access-control-allow-methods")).toBe("GET, POST, DELETE, OPTIONS");
      expect(headers.get("access-control-allow-headers")).toBe("authorization, x-stainless-os");
      expect(headers.get("access-control-max-age")).toBe("86400");
      expect(headers.get("vary")).toBe("Origin, Access-Control-Request-Headers");
      expect(headers.get("access-control-allow-private-network")).toBe("true");
      expect(headers.get("access-control-allow-origin")).toBe(
        cors === "*" ? "*" : "https://a.example",
      );
    }
  });

  test("without CORS a preflight gets the methods only, and 404 for an unknown route", async () => {
    const app = appWith();
    const response = await app.handle(get("/v1/models", preflight, "OPTIONS"));
    expect(response.status).toBe(204);
    expect(response.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
    const names = [...response.headers.keys()];
    expect(names.filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect((await app.handle(get("/nowhere", preflight, "OPTIONS"))).status).toBe(404);
  });
});

describe("methods and paths", () => {
  test("a wrong method is 405 with Allow", async () => {
    const rows = [
      ["GET", "/v1/chat/completions", "POST, OPTIONS"],
      ["POST", "/v1/models", "GET, HEAD, OPTIONS"],
      ["DELETE", "/v1/models/acme/tiny", "GET, HEAD, OPTIONS"],
      ["PUT", "/v1/embeddings", "POST, OPTIONS"],
      ["HEAD", "/v1/completions", "POST, OPTIONS"],
    ] as const;
    for (const [method, path, allow] of rows) {
      const request = method === "POST" ? post(path, {}) : get(path, {}, method);
      const response = await appWith().handle(request);
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe(allow);
      if (method !== "HEAD") expect((await errorOf(response)).code).toBe("method_not_allowed");
    }
  });

  test("an API that is not served names the one that is", async () => {
    const app = appWith();
    const message = async (path: string): Promise<string> => {
      const response = await app.handle(post(path, {}));
      expect(response.status).toBe(404);
      return (await errorOf(response)).message;
    };
    expect(await message("/v1/responses")).toMatch(
      /^Unexpected endpoint or method\. \(POST \/v1\/responses\) .*openai\.chat\(.*useResponsesApi.*setOpenAIAPI/,
    );
    expect(await message("/v1/responses/input_tokens")).toContain("/v1/chat/completions");
    expect(await message("/v1/messages")).toContain("/v1/chat/completions");
    expect(await message("/v1/foo")).toBe("Unexpected endpoint or method. (POST /v1/foo)");
  });

  test("HEAD has the headers of GET and no body", async () => {
    const app = appWith();
    const full = await app.handle(get("/v1/models"));
    const head = await app.handle(get("/v1/models", {}, "HEAD"));
    expect(head.status).toBe(200);
    expect(head.headers.get("content-length")).toBe(full.headers.get("content-length"));
    expect(await head.text()).toBe("");
    expect(Date.parse(head.headers.get("date") ?? "")).toBePositive();
  });

  test("every answer forbids sniffing and caching and carries its id twice", async () => {
    for (const [method, path] of ROUTES) {
      const response = await appWith().handle(send(method, path));
      const { headers } = response;
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe(
        path.endsWith(".css") ? "max-age=3600" : "no-store",
      );
      expect(headers.get("request-id")).toBe(headers.get("x-request-id"));
      expect(headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
    }
  });
});
