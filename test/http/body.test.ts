import { afterEach, describe, expect, test } from "bun:test";
import { BodyBudget, readJsonObject } from "../../src/http/body.ts";
import { scanJson } from "../../src/http/json-scan.ts";
import { hasCode, LmError } from "../../src/lib/errors.ts";
import {
  MAX_JSON_ARRAY_ITEMS,
  MAX_JSON_DEPTH,
  MAX_JSON_KEYS,
  MAX_MESSAGES,
  MAX_TOOLS,
} from "../../src/lib/limits.ts";
import { appWith, chatBody, errorOf, HOST, play, post } from "./fakes.ts";
import { done, finished, started } from "./fakes.ts";
import type { GenerateRequest } from "../../src/chat/events.ts";
import { ManualClock } from "../support/manual-clock.ts";

const CHAT = "/v1/chat/completions";

function raw(body: Bun.BodyInit, headers: Record<string, string> = {}): Request {
  return new Request(`http://localhost:1234${CHAT}`, {
    method: "POST",
    headers: { ...HOST, "content-type": "application/json", ...headers },
    body,
  });
}

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

describe("media types", () => {
  test.each([
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/problem+json",
    "application/vnd.api+json;v=1",
  ])("%s is JSON", async (type) => {
    const response = await appWith().handle(post(CHAT, chatBody, { "content-type": type }));
    expect(response.status).toBe(200);
  });

  test.each(["text/plain", "multipart/form-data; boundary=x", "application/jsonp", "text/json+x"])(
    "%s is not",
    async (type) => {
      const response = await appWith().handle(post(CHAT, chatBody, { "content-type": type }));
      expect(response.status).toBe(415);
    },
  );

  test("a missing type is accepted", async () => {
    const request = new Request(`http://localhost:1234${CHAT}`, {
      method: "POST",
      headers: HOST,
      body: bytes(JSON.stringify(chatBody)),
    });
    expect(request.headers.has("content-type")).toBe(false);
    expect((await appWith().handle(request)).status).toBe(200);
  });
});

describe("encoding", () => {
  test("a BOM is skipped", async () => {
    const body = new Uint8Array([0xef, 0xbb, 0xbf, ...bytes(JSON.stringify(chatBody))]);
    expect((await appWith().handle(raw(body))).status).toBe(200);
  });

  test.each([
    ["a stray byte", [0xff]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["half a code point", [0xf0, 0x9f]],
    ["a surrogate as UTF-8", [0xed, 0xa0, 0x80]],
  ])("%s is refused", async (_name, broken) => {
    const text = JSON.stringify({ messages: [{ role: "user", content: "@" }] });
    const [before = "", after = ""] = text.split("@");
    const response = await appWith().handle(
      raw(new Uint8Array([...bytes(before), ...broken, ...bytes(after)])),
    );
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe("invalid_json");
  });

  test("lone surrogates become U+FFFD, every other text arrives as it was sent", async () => {
    const seen: GenerateRequest[] = [];
    const app = appWith({
      generate: play([started(), finished(), done], (request) => seen.push(request)),
    });
    const content = "e\u0301 \u{1F600}\u0000\uFEFF\u202E";
    await app.handle(post(CHAT, { messages: [{ role: "user", content }] }));
    await app.handle(raw('{"messages":[{"role":"user","content":"a\\ud800b"}]}'));
    const contents = seen.map(({ input }) =>
      input.kind === "chat" ? input.messages[0]?.content?.[0]?.text : null,
    );
    expect(contents).toEqual([content, "a\uFFFDb"]);
  });

  test.each([
    ["{a:1}", "Expected '}' (line 1, column 2)."],
    [`{"a":'x'}`, "Single quotes (') are not allowed in JSON (line 1, column 6)."],
    ['{"a": 1,\n "b": undefined}', 'Unexpected identifier "undefined" (line 2, column 7).'],
    ['{"a": 1}}', "Unable to parse JSON string (line 1, column 9)."],
    ['{"a": MY_SECRET_KEY}', "Unexpected identifier (not shown) (line 1, column 7)."],
    ['{"a": "MY_SECRET_KEY', "Unterminated string (line 1, column 7)."],
  ])("%s is refused with what is wrong and where, and no long piece of it", async (text, told) => {
    const { message } = await errorOf(await appWith().handle(raw(text)));
    expect(message).toBe(
      `We could not parse the JSON body of your request: JSON Parse error: ${told}`,
    );
  });

  test("of duplicate keys the last one wins", async () => {
    const text = `{"messages":5,"temperature":9,"temperature":1,"messages":${JSON.stringify(chatBody.messages)}}`;
    expect((await appWith().handle(raw(text))).status).toBe(200);
  });
});

describe("T-C1: costly JSON", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  const scan = (text: string): number => scanJson(bytes(text));

  test("depth at the limit passes, one more does not", () => {
    expect(scan(nested(MAX_JSON_DEPTH))).toBe(2 * MAX_JSON_DEPTH);
    expect(() => scan(nested(MAX_JSON_DEPTH + 1))).toThrow(`at byte ${MAX_JSON_DEPTH + 1}`);
    expect(() => scan('{"a":'.repeat(MAX_JSON_DEPTH + 1))).toThrow("levels");
  });

  test("64 MiB of brackets are refused at byte 129", () => {
    const brackets = new Uint8Array(64 * 1024 * 1024).fill("[".charCodeAt(0));
    expect(() => scanJson(brackets)).toThrow("at byte 129)");
  });

  test("keys at the limit pass, one more does not", () => {
    const object = (count: number): string =>
      `{${Array.from({ length: count }, (_, index) => `"${index}":0`).join()}}`;
    expect(scan(object(MAX_JSON_KEYS))).toBeGreaterThan(MAX_JSON_KEYS);
    expect(() => scan(object(MAX_JSON_KEYS + 1))).toThrow("object keys");
  });

  test("array items at the limit pass, one more does not; several arrays count alone", () => {
    const array = (count: number): string => `[${"0,".repeat(count - 1)}0]`;
    expect(scan(array(MAX_JSON_ARRAY_ITEMS))).toBeGreaterThan(0);
    expect(scan(`[${array(MAX_JSON_ARRAY_ITEMS)},${array(MAX_JSON_ARRAY_ITEMS)}]`)).toBeGreaterThan(
      0,
    );
    expect(() => scan(array(MAX_JSON_ARRAY_ITEMS + 1))).toThrow("array");
  });

  test("brackets, commas and colons inside strings do not count", () => {
    const inside = `"${"[{:,\\\\".repeat(MAX_JSON_KEYS)}\\"[[[${"[".repeat(500)}"`;
    expect(scan(`[${inside}]`)).toBe(inside.length + 2);
    expect(scan('"never ends [[[')).toBe('"never ends [[['.length);
  });

  test("a huge string and a number of many digits end in 200 or 400", async () => {
    const app = appWith({ settings: { maxBodyBytes: 64 * 1024 * 1024 } });
    const big = JSON.stringify({
      messages: [{ role: "user", content: "x".repeat(32 * 1024 * 1024) }],
    });
    expect((await app.handle(raw(big))).status).toBe(200);
    const digits = `{"messages":[{"role":"user","content":"x"}],"n":${"9".repeat(1024 * 1024)}}`;
    const response = await app.handle(raw(digits));
    expect(response.status).toBe(400);
    expect((await errorOf(response)).code).toBe("integer_above_max_value");
  });

  test("messages and tools have their own bounds", async () => {
    const rows = [
      { messages: Array.from({ length: MAX_MESSAGES + 1 }, () => chatBody.messages[0]) },
      {
        ...chatBody,
        tools: Array.from({ length: MAX_TOOLS + 1 }, (_, index) => ({
          type: "function",
          function: { name: `f${index}` },
        })),
      },
    ];
    for (const body of rows) {
      const response = await appWith({ settings: { maxBodyBytes: 1e7 } }).handle(post(CHAT, body));
      expect((await errorOf(response)).code).toBe("array_above_max_length");
    }
  });
});

describe("T-C2: prototypes", () => {
  const natives = (): string[] =>
    [Object.prototype, Array.prototype, Function.prototype].flatMap((prototype) =>
      Object.getOwnPropertyNames(prototype),
    );
  const before = natives();
  afterEach(() => expect(natives()).toEqual(before));

  const evil = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
  test.each([
    `{"__proto__":{"stream":true},"messages":[{"role":"user","content":"x"}]}`,
    `{"messages":[{"role":"user","content":"x","__proto__":{"polluted":1}}],"metadata":${evil}}`,
    `{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":${evil}}`,
    `{"messages":[{"role":"user","content":"x"}],"logit_bias":{"__proto__":1,"constructor":2}}`,
    `{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":${evil}}}]}`,
    `{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"schema":${evil}}}}`,
  ])("%s changes no prototype", async (text) => {
    const seen: GenerateRequest[] = [];
    const app = appWith({
      generate: play([started(), finished(), done], (request) => seen.push(request)),
    });
    const response = await app.handle(raw(text));
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    const [input] = seen.map((request) => request.input);
    const kwargs = input?.kind === "chat" ? input.options.templateKwargs : {};
    expect(kwargs["polluted"]).toBeUndefined();
  });
});

describe("sizes", () => {
  test("the limit itself passes, one byte more does not, declared or not", async () => {
    const text = JSON.stringify(chatBody);
    for (const [maxBodyBytes, status] of [
      [text.length, 200],
      [text.length - 1, 413],
    ] as const) {
      const app = appWith({ settings: { maxBodyBytes } });
      const declared = raw(text, { "content-length": String(text.length) });
      expect((await app.handle(declared)).status).toBe(status);
      const chunks = new ReadableStream({
        start(controller) {
          for (const byte of bytes(text)) controller.enqueue(Uint8Array.of(byte));
          controller.close();
        },
      });
      expect((await app.handle(raw(chunks))).status).toBe(status);
    }
  });

  test("a body that is declared too large is not read", async () => {
    let reads = 0;
    const body = new ReadableStream(
      { pull: (controller) => (reads++, controller.enqueue(bytes("{"))) },
      { highWaterMark: 0 },
    );
    const app = appWith({ settings: { maxBodyBytes: 10 } });
    const response = await app.handle(raw(body, { "content-length": "11" }));
    expect(response.status).toBe(413);
    expect(reads).toBe(0);
  });

  test("bodies of all requests share one budget, which is given back", async () => {
    const budget = new BodyBudget(10);
    const read = (text: string) =>
      readJsonObject(raw(text), { maxBytes: 100, budget, clock: new ManualClock() });
    const first = await read('{"a":1}');
    expect(budget.usedBytes).toBe(7);
    const refused = await read('{"b":2}').catch((error: unknown) => error);
    expect(hasCode(refused, "overloaded")).toBe(true);
    expect(budget.usedBytes).toBe(7);
    budget.give(first.bytes);
    await read('{"b":2}');
    const broken = await read("{").catch((error: unknown) => error);
    expect(broken).toBeInstanceOf(LmError);
    expect(budget.usedBytes).toBe(7);
  });

  test("a body that never ends is given up", async () => {
    const clock = new ManualClock();
    const budget = new BodyBudget();
    const endless = new ReadableStream({ start: (controller) => controller.enqueue(bytes("{")) });
    const reading = readJsonObject(raw(endless), { maxBytes: 16_000, budget, clock }).catch(
      (error: unknown) => error,
    );
    await clock.pass(30_000);
    await clock.pass(1_000);
    expect(hasCode(await reading, "invalid_request")).toBe(true);
    expect(budget.usedBytes).toBe(0);
  });
});
