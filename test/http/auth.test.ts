import { describe, expect, spyOn, test } from "bun:test";
import * as crypto from "node:crypto";
import { Authenticator } from "../../src/http/auth.ts";
import { hasCode } from "../../src/lib/errors.ts";
import { appWith, chatBody, done, errorOf, finished, get, play, post, started } from "./fakes.ts";
import { ManualClock } from "../support/manual-clock.ts";

const PUBLIC = [
  "/",
  "/health",
  "/v1/health",
  "/livez",
  "/readyz",
  "/lmstudio-greeting",
  "/swagger",
  "/swagger/json",
  "/swagger/start.js",
  "/swagger/swagger-ui.css",
];
const PRIVATE = [
  "/v1/models",
  "/v1/models/acme/tiny",
  "/metrics",
  "/version",
  "/api/lmserver/instances",
  "/api/lmserver/adapters",
  "/api/lmserver/models",
  "/api/lmserver/downloads",
  "/api/lmserver/slots",
  "/api/lmserver/logs",
  "/api/v1/models",
  "/api/v0/models",
  "/api/v0/models/acme/tiny",
  "/api/v1/models/download/status/acme/tiny",
];
const POSTS = [
  "/v1/chat/completions",
  "/v1/chat/completions/render",
  "/v1/chat/completions/input_tokens",
  "/v1/completions",
  "/v1/embeddings",
  "/api/v1/chat",
  "/api/v1/models/load",
  "/api/v1/models/unload",
  "/api/v1/models/download",
  "/api/lmserver/downloads/control",
  "/api/v0/chat/completions",
  "/api/v0/completions",
  "/api/v0/embeddings",
];

const locked = { settings: { apiKeys: ["right-key", "second-key", "two words", "cl\u00e9"] } };

test("any or no key is accepted while none is configured", async () => {
  const app = appWith();
  for (const headers of [{}, { authorization: "Bearer whatever" }, { "x-api-key": "whatever" }]) {
    expect((await app.handle(get("/v1/models", headers))).status).toBe(200);
  }
});

test("every documented route is in one of these lists", () => {
  const { paths } = appWith().openapi() as { paths: Record<string, unknown> };
  const listed = new Set([...PUBLIC, ...PRIVATE, ...POSTS]);
  const missing = Object.keys(paths).filter(
    (path) => !listed.has(path.replace("{id}", "acme/tiny")),
  );
  expect(missing).toEqual([]);
});

test("with a key, health and the static page are open and everything else is not", async () => {
  const app = appWith(locked);
  for (const path of PUBLIC) expect((await app.handle(get(path))).status).toBe(200);
  for (const path of PRIVATE) expect((await app.handle(get(path))).status).toBe(401);
  for (const path of POSTS) expect((await app.handle(post(path, chatBody))).status).toBe(401);
});

test("each key has its own scope of stored prefixes, unless they are joined", async () => {
  const scopes = async (settings: object, keys: readonly string[]): Promise<string[]> => {
    const seen: string[] = [];
    const generate = play([started(), finished(), done], ({ cacheScope }) => seen.push(cacheScope));
    const app = appWith({ settings, generate });
    for (const key of keys) {
      const headers = { authorization: `Bearer ${key}` };
      const answer = await app.handle(post("/v1/chat/completions", chatBody, headers));
      expect(answer.status).toBe(200);
    }
    return seen;
  };
  const keys = ["right-key", "second-key", "right-key"];
  const [first, second, again] = await scopes(locked.settings, keys);
  expect(first).not.toBe(second);
  expect(again).toBe(first);
  // A hash of the key travels on, never the key.
  for (const scope of [first, second]) expect(scope).toMatch(/^key-[0-9a-f]{16}$/);
  expect(await scopes({ ...locked.settings, sharedPrefixCache: true }, keys)).toEqual(["", "", ""]);
  expect(await scopes({}, ["any", "other"])).toEqual(["", ""]);
});

describe("T-B3: where a key may be", () => {
  const rows: { name: string; headers: Record<string, string>; status: number }[] = [
    { name: "bearer", headers: { authorization: "Bearer right-key" }, status: 200 },
    {
      name: "bearer, any case of the word",
      headers: { authorization: "bearer right-key" },
      status: 200,
    },
    { name: "x-api-key", headers: { "x-api-key": "second-key" }, status: 200 },
    {
      name: "both alike",
      headers: { authorization: "Bearer right-key", "x-api-key": "right-key" },
      status: 200,
    },
    {
      name: "both, of two valid keys",
      headers: { authorization: "Bearer right-key", "x-api-key": "second-key" },
      status: 401,
    },
    {
      name: "basic beside x-api-key",
      headers: { authorization: "Basic cmlnaHQ=", "x-api-key": "right-key" },
      status: 401,
    },
    {
      name: "x-api-key beside an empty bearer",
      headers: { authorization: "", "x-api-key": "right-key" },
      status: 200,
    },
    {
      name: "bearer beside an empty x-api-key",
      headers: { authorization: "Bearer right-key", "x-api-key": "" },
      status: 200,
    },
    { name: "with a blank", headers: { authorization: "Bearer two words" }, status: 200 },
    { name: "with a letter in UTF-8", headers: { "x-api-key": "cl\u00c3\u00a9" }, status: 200 },
    { name: "with a letter in Latin-1", headers: { "x-api-key": "cl\u00e9" }, status: 200 },
    { name: "basic", headers: { authorization: "Basic cmlnaHQta2V5" }, status: 401 },
    { name: "bare", headers: { authorization: "right-key" }, status: 401 },
    { name: "prefix", headers: { authorization: "Bearer right-ke" }, status: 401 },
    { name: "longer", headers: { authorization: "Bearer right-keyy" }, status: 401 },
    { name: "empty", headers: { authorization: "Bearer " }, status: 401 },
    { name: "two joined", headers: { authorization: "Bearer right-key, Bearer x" }, status: 401 },
    { name: "cookie", headers: { cookie: "api_key=right-key" }, status: 401 },
  ];
  test.each(rows)("$name: $status", async ({ headers, status }) => {
    const response = await appWith(locked).handle(get("/v1/models", headers));
    expect(response.status).toBe(status);
    if (status === 200) return;
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    const error = await errorOf(response);
    expect(error).toMatchObject({
      type: "invalid_request_error",
      param: null,
      code: "invalid_api_key",
    });
    expect(error.message).not.toContain("right-ke");
  });

  const both = { authorization: "Bearer right-key", "x-api-key": "second-key" };
  const reasons: {
    reason: string;
    headers: Record<string, string>;
    told: string;
    below: string;
  }[] = [
    {
      reason: "missing",
      headers: {},
      told: "An API key is required.",
      below: "An LM Studio API token is required",
    },
    {
      reason: "wrong",
      headers: { "x-api-key": "third-key" },
      told: "Incorrect API key provided.",
      below: "Incorrect API key provided.",
    },
    {
      reason: "disagree",
      headers: both,
      told: "The headers 'Authorization' and 'x-api-key' do not hold the same key.",
      below: "The headers 'Authorization' and 'x-api-key' do not hold the same key.",
    },
  ];
  test.each(reasons)("a key is refused as $reason, in each API's words", async (row) => {
    const app = appWith(locked);
    const plain = await errorOf(await app.handle(get("/v1/models", row.headers)));
    expect(plain.message).toStartWith(row.told);
    const native = await errorOf(await app.handle(get("/api/v1/models", row.headers)));
    expect(native).toMatchObject({ type: "invalid_request", code: "invalid_api_key" });
    expect(native.message).toStartWith(row.below);
    expect(native).not.toHaveProperty("param");
  });

  test("no header takes long to read, blanks and all", () => {
    const header = `Bearer ${" ".repeat(500_000)}\u00a0`;
    const authenticator = new Authenticator(
      { keys: ["k"], tokens: null, isRequired: true },
      new ManualClock(),
    );
    // By the square of its length this would take longer than any test may.
    expect(() => authenticator.check(new Headers({ "x-a": "b" }), "127.0.0.1")).toThrow();
    expect(() =>
      authenticator.check(
        { get: (name: string) => (name === "authorization" ? header : null) } as Headers,
        "127.0.0.1",
      ),
    ).toThrow();
  });

  test("not in the query", async () => {
    const response = await appWith(locked).handle(get("/v1/models?api_key=right-key"));
    expect(response.status).toBe(401);
  });
});

test("T-B4: no spelling of a path reaches a locked route", async () => {
  const app = appWith(locked);
  const spellings = (path: string): string[] => [
    path,
    `${path}/`,
    `/${path}`,
    path.replace("/v1/", "//v1//"),
    path.replace("/v1/", "/v1/./"),
    path.replace("/v1/", "/x/../v1/"),
    path.replace("/v1/", "/v1/%2e/"),
    path.replace("/v1", "/v1%2F"),
    path.replace("/api/", "/api//"),
    path.toUpperCase(),
    `${path}?x=1`,
    `${path}#x`,
    path.replace("/v1/", "\\v1\\"),
  ];
  for (const path of [...PRIVATE, ...POSTS]) {
    for (const spelling of spellings(path)) {
      for (const method of ["GET", "HEAD", "POST", "DELETE"]) {
        const override = { "x-http-method-override": "GET" };
        const request =
          method === "POST" ? post(spelling, chatBody, override) : get(spelling, override, method);
        const { status } = await app.handle(request);
        expect([401, 404, 405]).toContain(status);
      }
    }
  }
});

test("T-B2a: a wrong key is compared with every key, like a right one", () => {
  const compare = spyOn(crypto, "timingSafeEqual");
  const authenticator = new Authenticator(
    { keys: ["one", "two", "three"], tokens: null, isRequired: true },
    new ManualClock(),
  );
  const counts = ["one", "three", "nope", "on"].map((key) => {
    compare.mockClear();
    try {
      authenticator.check(new Headers({ "x-api-key": key }), "10.0.0.1");
    } catch (error) {
      expect(hasCode(error, "unauthorized")).toBe(true);
    }
    return compare.mock.calls.length;
  });
  compare.mockRestore();
  expect(counts).toEqual([3, 3, 3, 3]);
});

describe("too many wrong keys", () => {
  const attempt = (authenticator: Authenticator, address: string): string => {
    try {
      authenticator.check(new Headers({ "x-api-key": "nope" }), address);
      return "passed";
    } catch (error) {
      return hasCode(error, "rate_limited") ? "limited" : "refused";
    }
  };

  test("an address is told to wait after ten failures in a minute", async () => {
    const clock = new ManualClock();
    const authenticator = new Authenticator(
      { keys: ["key"], tokens: null, isRequired: true },
      clock,
    );
    for (let index = 0; index < 10; index++) {
      expect(attempt(authenticator, "10.0.0.1")).toBe("refused");
    }
    expect(attempt(authenticator, "10.0.0.1")).toBe("limited");
    expect(attempt(authenticator, "10.0.0.2")).toBe("refused");
    await clock.pass(60_000);
    expect(attempt(authenticator, "10.0.0.1")).toBe("refused");
  });

  test("loopback is never told to wait", () => {
    const authenticator = new Authenticator(
      { keys: ["key"], tokens: null, isRequired: true },
      new ManualClock(),
    );
    for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) {
      for (let index = 0; index < 20; index++) {
        expect(attempt(authenticator, address)).toBe("refused");
      }
    }
  });

  test("the answer is 429 with Retry-After", async () => {
    const app = appWith(locked);
    const peer = { requestIP: () => ({ address: "10.0.0.9" }), timeout: () => undefined };
    for (let index = 0; index < 10; index++) await app.fetch(get("/v1/models"), peer);
    const response = await app.fetch(get("/v1/models"), peer);
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await errorOf(response)).toMatchObject({
      type: "rate_limit_error",
      code: "rate_limit_exceeded",
    });
  });
});
