import { expect, test } from "bun:test";
import type { TokenInfo } from "../../src/config/tokens.ts";
import { LmError } from "../../src/lib/errors.ts";
import { appWith, chatBody, errorOf, get, post } from "./fakes.ts";

const token = (id: string, permissions: TokenInfo["permissions"]): TokenInfo => ({
  id,
  name: id,
  permissions,
  createdMs: 0,
});
const TOKENS = new Map([
  ["chat-only", token("aaaaaaaa", ["inference"])],
  ["manager", token("bbbbbbbb", ["models:manage"])],
]);
const tokens = { find: (text: string) => TOKENS.get(text) ?? null };
const app = appWith({ settings: { requireAuth: true }, deps: { tokens } });
const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

test("without any key, required authentication still refuses everybody without a token", async () => {
  expect((await app.handle(get("/v1/models"))).status).toBe(401);
  expect((await app.handle(get("/v1/models", bearer("nobody")))).status).toBe(401);
  expect((await app.handle(get("/v1/models", bearer("chat-only")))).status).toBe(200);
  expect((await app.handle(get("/health"))).status).toBe(200);
});

test("T-B13: a token may do what it was made for", async () => {
  const refused = await app.handle(post("/v1/chat/completions", chatBody, bearer("manager")));
  expect(refused.status).toBe(403);
  expect(await errorOf(refused)).toMatchObject({
    type: "permission_error",
    code: "insufficient_permissions",
  });
  const allowed = await app.handle(post("/v1/chat/completions", chatBody, bearer("chat-only")));
  expect(allowed.status).toBe(200);
});

test("any valid token reads the metrics and the version", async () => {
  for (const path of ["/metrics", "/version"]) {
    expect((await app.handle(get(path))).status).toBe(401);
    for (const text of TOKENS.keys()) {
      expect((await app.handle(get(path, bearer(text)))).status).toBe(200);
    }
  }
});

test("what stands in front of /api/v1 answers in its form, elsewhere in OpenAI's", async () => {
  const missing = await app.handle(get("/api/v1/nothing"));
  expect(missing.status).toBe(404);
  expect(await missing.json()).toEqual({
    error: {
      type: "invalid_request",
      message: "Unexpected endpoint or method. (GET /api/v1/nothing)",
    },
  });
  const locked = await app.handle(get("/api/lmserver/instances"));
  expect(locked.status).toBe(401);
  expect(await locked.json()).toMatchObject({
    error: { type: "invalid_request", code: "invalid_api_key" },
  });
  expect(await errorOf(await app.handle(get("/v1/nothing")))).toMatchObject({
    type: "invalid_request_error",
    code: "unknown_url",
  });
});

test("a token file that cannot be read lets nobody in, keys excepted, and is not named", async () => {
  const broken = {
    find: () => {
      const path = "/home/someone/tokens.json";
      throw new LmError("invalid_file", { path, reason: "r" }, `The token file ${path} is broken.`);
    },
  };
  const locked = appWith({ settings: { apiKeys: ["key"] }, deps: { tokens: broken } });
  const response = await locked.handle(get("/v1/models", bearer("chat-only")));
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain("someone");
  expect((await locked.handle(get("/v1/models", bearer("key")))).status).toBe(200);
  expect((await locked.handle(get("/v1/models"))).status).toBe(401);
});
