import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { TokenFile } from "../../src/config/tokens.ts";
import { problemsOf } from "../http/lmstudio-cases.ts";
import { FakeHub } from "../support/fake-hub.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Who may use LM Studio's own API of the product, and what it fetches. */

type Json = Record<string, unknown>;
let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "lmserver-state-"));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

test("tokens with permissions: made before, revoked while the server runs", async () => {
  const tokens = new TokenFile(stateDir);
  const make = (name: string, permissions: Parameters<TokenFile["create"]>[0]["permissions"]) =>
    tokens.create({ name, permissions, nowMs: Date.now() });
  const chatter = make("chatter", ["inference"]);
  const manager = make("manager", ["models:manage"]);
  const server = await startServer({ args: ["--require-auth", "--state-dir", stateDir] });
  const status = async (path: string, headers: Record<string, string>, body?: object) => {
    const init = body && { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(`${server.url}${path}`, { ...init, headers });
    const json: unknown = await response.json();
    if (!response.ok) expect(problemsOf("ErrorBody", json)).toEqual([]);
    return response.status;
  };
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
  const load = { model: "demo" };
  try {
    expect(await status("/lmstudio-greeting", {})).toBe(200);
    expect(await status("/health", {})).toBe(200);
    expect(await status("/api/v1/models", {})).toBe(401);
    expect(await status("/api/v1/models", bearer("sk-lm-aaaaaaaa:aaaaaaaaaaaaaaaaaaaa"))).toBe(401);
    expect(await status("/api/v1/models", { "x-api-key": chatter.text })).toBe(200);
    expect(await status("/api/v1/models/load", bearer(chatter.text), load)).toBe(403);
    expect(await status("/api/v1/models/load", bearer(manager.text), load)).toBe(200);
    expect(await status("/api/v1/models", bearer(manager.text))).toBe(403);
    tokens.remove(chatter.token.id);
    expect(await status("/api/v1/models", bearer(chatter.text))).toBe(401);
    tokens.remove(manager.token.id);
    expect(await status("/api/v1/models", bearer(manager.text))).toBe(401);
    expect(server.stderr()).not.toContain(chatter.text.slice(-20));
  } finally {
    expect(await server.stop()).toBe(0);
  }
});

test("a chat goes on after a restart, and not where nothing is kept", async () => {
  const chat = async (args: string[], body: object): Promise<Json> => {
    const server = await startServer({ args: ["--state-dir", stateDir, ...args] });
    try {
      const response = await fetch(`${server.url}/api/v1/chat`, {
        method: "POST",
        body: JSON.stringify({ model: "demo", input: "Hello", temperature: 0, ...body }),
      });
      return (await response.json()) as Json;
    } finally {
      expect(await server.stop()).toBe(0);
    }
  };
  const { response_id: previous_response_id } = await chat([], {});
  expect(previous_response_id).toMatch(/^resp_[0-9a-f]{48}$/);
  const second = await chat([], { previous_response_id });
  expect(problemsOf("ChatResponse", second)).toEqual([]);
  const off = ["--responses-store", "off"];
  expect(await chat(off, {})).not.toHaveProperty("response_id");
  expect(await chat(off, { previous_response_id })).toMatchObject({
    error: { code: "previous_response_not_found" },
  });
});

test("a download is followed to its end, and the model is there", async () => {
  await using hub = await FakeHub.start();
  const content = readFileSync(resolve(import.meta.dir, "../../src/assets/demo.gguf"));
  hub.add("acme/Tiny-GGUF/Tiny-Q8_0.gguf", content);
  const server = await startServer({ env: { HF_ENDPOINT: hub.url } });
  const ask = async (path: string, body?: object): Promise<Response> =>
    fetch(
      `${server.url}/api/v1/models${path}`,
      body && { method: "POST", body: JSON.stringify(body) },
    );
  const wanted = { model: "acme/Tiny-GGUF", quantization: "q8_0" };
  try {
    const job = (await (await ask("/download", wanted)).json()) as Json;
    expect(problemsOf("DownloadResponse", job)).toEqual([]);
    const status = async (): Promise<Json> => {
      const json = (await (await ask(`/download/status/${String(job["job_id"])}`)).json()) as Json;
      expect(problemsOf("DownloadStatus", json)).toEqual([]);
      return json;
    };
    await until(async () => (await status())["status"] !== "downloading", "the download ends");
    expect(await status()).toMatchObject({ status: "completed", downloaded_bytes: content.length });
    const { models } = (await (await ask("")).json()) as { models: { publisher: string }[] };
    expect(models.map(({ publisher }) => publisher)).toContain("acme");
    expect(await (await ask("/download", wanted)).json()).toEqual({ status: "already_downloaded" });
    const refusals: [object, number][] = [
      [{ model: "acme/Nothing-GGUF" }, 404],
      [{ model: "acme/Tiny-GGUF", quantization: "Q2_K" }, 400],
      [{ model: "https://evil.example/acme/Tiny-GGUF" }, 400],
      [{ model: "http://huggingface.co/acme/Tiny-GGUF" }, 400],
      [{ model: "../etc" }, 400],
    ];
    for (const [body, code] of refusals) {
      const response = await ask("/download", body);
      expect(problemsOf("ErrorBody", await response.json())).toEqual([]);
      expect([body, response.status]).toEqual([body, code]);
    }
  } finally {
    expect(await server.stop()).toBe(0);
  }
});
