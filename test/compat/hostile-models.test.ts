import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeHostileFiles } from "../../scripts/make-hostile-gguf.ts";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { type TestServer, childrenOf, startServer } from "../support/server.ts";
import { GGUF_CASES } from "../support/gguf-cases.ts";
import { until } from "../support/until.ts";

/** Model files that want harm, against the running product: what they cost is an error each. */

interface Damage {
  name: string;
  /** Text in the file's head, or metadata key whose number is replaced. */
  at: string;
  /** Text of the same length, or the number. */
  by: string | number;
}

/** Heads that pass every check of the catalogue and are lies to the library that loads them. */
const DAMAGES: readonly Damage[] = [
  { name: "no-tokenizer", at: "tokenizer.ggml.model", by: "tokenizer.ggml.mxxxx" },
  { name: "no-tokens", at: "tokenizer.ggml.tokens", by: "tokenizer.ggml.txxxxx" },
  { name: "no-layers", at: "llama.block_count", by: "llama.block_xxxxx" },
  { name: "no-width", at: "llama.embedding_length", by: "llama.embedding_xxxxxx" },
  { name: "lost-tensor", at: "blk.0.attn_q.weight", by: "blk.0.attn_x.weight" },
  { name: "lost-embedding", at: "token_embd.weight", by: "token_xxxx.weight" },
  { name: "lost-norm", at: "output_norm.weight", by: "output_xxxx.weight" },
  { name: "layers-0", at: "llama.block_count", by: 0 },
  { name: "layers-million", at: "llama.block_count", by: 1_000_000 },
  { name: "layers-2-31", at: "llama.block_count", by: 2 ** 31 },
  { name: "width-0", at: "llama.embedding_length", by: 0 },
  { name: "width-1", at: "llama.embedding_length", by: 1 },
  { name: "width-2-31", at: "llama.embedding_length", by: 2 ** 31 },
  { name: "heads-0", at: "llama.attention.head_count", by: 0 },
  { name: "heads-3", at: "llama.attention.head_count", by: 3 },
  { name: "heads-2-31", at: "llama.attention.head_count", by: 2 ** 31 },
  { name: "kv-heads-0", at: "llama.attention.head_count_kv", by: 0 },
  { name: "kv-heads-7", at: "llama.attention.head_count_kv", by: 7 },
  { name: "forward-0", at: "llama.feed_forward_length", by: 0 },
  { name: "context-2-31", at: "llama.context_length", by: 2 ** 31 },
  { name: "eos-2-31", at: "tokenizer.ggml.eos_token_id", by: 2 ** 31 },
];

/** T-D4: what a template may try, and whether the answer is a refusal or a prompt without harm. */
const TEMPLATES: readonly { name: string; source: string; status: number }[] = [
  { name: "range", source: "{% for i in range(999999999) %}{% endfor %}", status: 400 },
  { name: "nested", source: loops(10), status: 400 },
  { name: "bomb", source: "{{ 'a' * 10**9 }}", status: 400 },
  { name: "recursion", source: "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", status: 400 },
  { name: "host", source: "{{ ''.constructor.constructor('return process')() }}", status: 400 },
  { name: "huge", source: `{{ messages }}${"x".repeat(5 * 2 ** 20)}`, status: 400 },
  { name: "broken", source: "{% if %}", status: 400 },
  { name: "raises", source: "{{ raise_exception('not you') }}", status: 400 },
  { name: "prototype", source: "hi{{ messages.__proto__ }}", status: 200 },
  { name: "self", source: "hi{{ self }}{{ globalThis }}{{ process }}", status: 200 },
];

function loops(depth: number): string {
  const heads = Array.from({ length: depth }, (_, at) => `{% for i${at} in range(1000) %}`);
  return `${heads.join("")}x${"{% endfor %}".repeat(depth)}`;
}

function damaged(whole: Uint8Array, { at, by }: Damage): Buffer {
  const bytes = Buffer.from(whole);
  // A key follows its length, so that one key is not found inside another.
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(at.length));
  const found = bytes.indexOf(Buffer.concat([length, Buffer.from(at)]));
  if (found < 0) throw new Error(`the model has no ${at}`);
  const start = found + 8;
  if (typeof by === "string") bytes.write(by, start);
  else bytes.writeUInt32LE(by, start + at.length + 4);
  return bytes;
}

let server: TestServer;
beforeAll(async () => {
  // Alone in memory besides the model that keeps streaming: each load ends the one before.
  server = await startServer({ args: ["--load", "demo"] });
  const models = join(server.home, "models");
  const valid = join(models, "valid.gguf");
  makeModel({ path: valid, architecture: "llama" });
  const whole = readFileSync(valid);
  for (const damage of DAMAGES) {
    writeFileSync(join(models, `${damage.name}.gguf`), damaged(whole, damage));
  }
  for (const { name, bytes } of GGUF_CASES) writeFileSync(join(models, `${name}.gguf`), bytes);
  for (let part = 0; part < 64; part += 1) {
    const size = Math.floor((whole.length * part) / 64);
    writeFileSync(join(models, `cut-${part}.gguf`), whole.subarray(0, size));
  }
  for (const { name, source } of TEMPLATES) {
    const path = join(models, `template-${name}.gguf`);
    makeModel({ path, architecture: "llama", chatTemplate: source });
  }
  Bun.spawnSync(["mkfifo", join(models, "pipe.gguf")]);
  mkdirSync(join(models, "hostile"));
  writeHostileFiles(join(models, "hostile"));
  await until(
    async () => (await (await fetch(`${server.url}/v1/models`)).text()).includes('"template-self"'),
    "the server has seen its models",
  );
}, 60_000);
afterAll(async () => {
  expect(childrenOf(server.pid).length).toBeLessThanOrEqual(2);
  expect(await server.stop()).toBe(0);
});

const post = (path: string, body: object): Promise<Response> =>
  fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

interface Outcome {
  status: number;
  code: string | null;
}

async function ask(model: string): Promise<Outcome> {
  const answer = await post("/v1/completions", { model, prompt: [1, 2, 3], max_tokens: 2 });
  const body = (await answer.json()) as { error?: { code: string } };
  return { status: answer.status, code: body.error?.code ?? null };
}

/** Streams from the demo model until stopped. Any failure of a stream is thrown by `stop`. */
function keepStreaming(): { streams(): number; stop(): Promise<void> } {
  const state = { isStopped: false, streams: 0 };
  const running = (async () => {
    while (!state.isStopped) {
      const body = { model: "demo", prompt: "The", stream: true, max_tokens: 64, ignore_eos: true };
      const answer = await post("/v1/completions", body);
      const text = await answer.text();
      if (answer.status !== 200 || !text.endsWith("data: [DONE]\n\n")) throw new Error(text);
      state.streams += 1;
    }
  })();
  running.catch(() => undefined);
  return {
    streams: () => state.streams,
    stop: () => {
      state.isStopped = true;
      return running;
    },
  };
}

describe("T-D2: a damaged model", () => {
  test("is a typed error or loads, and neither the server nor another model's streams notice", async () => {
    const other = keepStreaming();
    await until(() => other.streams() > 0, "the other model streams");
    const [engine] = childrenOf(server.pid);
    const outcomes = new Map<string, Outcome>();
    for (const { name } of [...DAMAGES, ...GGUF_CASES]) {
      const before = other.streams();
      outcomes.set(name, await ask(name));
      await until(() => other.streams() > before, "the other model goes on");
    }
    await other.stop();
    for (const [name, { status, code }] of outcomes) {
      const shown = `${name}: ${status} ${code}`;
      expect(shown).toMatch(
        /: (200 null|404 model_not_found|500 (model_load_failed|internal_error|insufficient_memory))$/,
      );
    }
    expect([...outcomes.values()].filter(({ status }) => status === 500).length).toBeGreaterThan(9);
    expect(childrenOf(server.pid)).toContain(engine!);
    expect((await ask("valid")).status).toBe(200);
  }, 120_000);

  test("cut at each 64th of its length is not offered, and asking for it says so", async () => {
    for (let part = 0; part < 64; part += 1) {
      expect(await ask(`cut-${part}`)).toEqual({ status: 404, code: "model_not_found" });
    }
  });

  test("the list names none of the unreadable ones", async () => {
    const { data } = (await (await fetch(`${server.url}/v1/models`)).json()) as {
      data: { id: string }[];
    };
    const ids = data.map(({ id }) => id);
    expect(ids).toContain("valid");
    expect(ids.filter((id) => /^(cut-|pipe|hostile)/.test(id))).toEqual([]);
  });
});

describe("T-D4: a template from a model file", () => {
  test.each(TEMPLATES)("$name", async ({ name, status }) => {
    const chat = { model: `template-${name}`, messages: [{ role: "user", content: "Hi" }] };
    const answer = await post("/v1/chat/completions", { ...chat, max_tokens: 2 });
    const body = (await answer.json()) as { error?: { code: string; param: string } };
    expect(answer.status).toBe(status);
    if (status === 400) {
      expect(body.error).toMatchObject({ code: "chat_template_error", param: "messages" });
    }
  });

  test("that never ends holds up neither health nor other chats", async () => {
    const order: string[] = [];
    const chat = { model: "template-nested", messages: [{ role: "user", content: "Hi" }] };
    const hanging = post("/v1/chat/completions", chat).then(() => order.push("hung"));
    for (const path of ["/health", "/v1/models", "/metrics"]) {
      expect((await fetch(`${server.url}${path}`)).status).toBe(200);
    }
    order.push("health");
    const hello = { ...chat, model: "demo", max_tokens: 2 };
    expect((await post("/v1/chat/completions", hello)).status).toBe(200);
    order.push("chat");
    await hanging;
    expect(order).toEqual(["health", "chat", "hung"]);
  });
});
