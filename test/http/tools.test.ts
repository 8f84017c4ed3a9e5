import { describe, expect, test } from "bun:test";
import type { Generate } from "../../src/chat/events.ts";
import { invalidRequest } from "../../src/lib/errors.ts";
import { silentLog } from "../../src/lib/log.ts";
import { CHAT, chatInput, chatRefusal } from "./chat-request.ts";
import {
  appWith,
  done,
  errorOf,
  failWith,
  finished,
  payloads,
  play,
  post,
  started,
} from "./fakes.ts";

const user = { role: "user", content: "Hi" };

describe("tools", () => {
  const f = { type: "function", function: { name: "f" } };
  const g = {
    type: "function",
    function: { name: "g", parameters: { type: "object" }, strict: true },
  };
  const named = (name: string) => ({ type: "function", function: { name } });
  const allowed = (mode: string, ...names: string[]) => ({
    type: "allowed_tools",
    allowed_tools: { mode, tools: names.map(named) },
  });

  const rows: { name: string; body: object; options: object }[] = [
    { name: "none", body: {}, options: { tools: [], toolChoice: { kind: "none" } } },
    {
      name: "an empty list",
      body: { tools: [], tool_choice: "auto" },
      options: { tools: [], toolChoice: { kind: "none" } },
    },
    {
      name: "auto by default",
      body: { tools: [f, g] },
      options: {
        tools: [
          { name: "f", description: null, parameters: null, strict: false },
          { name: "g", description: null, parameters: { type: "object" }, strict: true },
        ],
        toolChoice: { kind: "auto", allowed: null },
        parallelToolCalls: true,
      },
    },
    {
      name: "required, one at a time",
      body: { tools: [f], tool_choice: "required", parallel_tool_calls: false },
      options: { toolChoice: { kind: "required", allowed: null }, parallelToolCalls: false },
    },
    {
      name: "named",
      body: { tools: [f, g], tool_choice: named("g") },
      options: { toolChoice: { kind: "named", name: "g" } },
    },
    {
      name: "allowed",
      body: { tools: [f, g], tool_choice: allowed("required", "g") },
      options: { toolChoice: { kind: "required", allowed: ["g"] } },
    },
    {
      name: "switched off",
      body: { tools: [f], tool_choice: "none" },
      options: { toolChoice: { kind: "none" } },
    },
    {
      name: "functions",
      body: { functions: [{ name: "f", description: "d" }], function_call: "auto" },
      options: {
        tools: [{ name: "f", description: "d", parameters: null, strict: false }],
        toolChoice: { kind: "auto", allowed: null },
        parallelToolCalls: false,
      },
    },
    {
      name: "functions with the present choice",
      body: { functions: [{ name: "f" }, { name: "g" }], tool_choice: named("g") },
      options: { toolChoice: { kind: "named", name: "g" }, parallelToolCalls: false },
    },
    {
      name: "functions that are required",
      body: { functions: [{ name: "f" }], tool_choice: "required" },
      options: { toolChoice: { kind: "required", allowed: null } },
    },
    {
      name: "functions with both choices",
      body: { functions: [{ name: "f" }], function_call: { name: "f" }, tool_choice: "none" },
      options: { toolChoice: { kind: "named", name: "f" } },
    },
    {
      name: "the deprecated choice",
      body: { tools: [f, g], function_call: { name: "g" } },
      options: { toolChoice: { kind: "named", name: "g" }, parallelToolCalls: true },
    },
    {
      name: "the deprecated choice of none",
      body: { tools: [f], function_call: "none" },
      options: { toolChoice: { kind: "none" } },
    },
    {
      name: "both choices",
      body: { tools: [f], function_call: "none", tool_choice: "required" },
      options: { toolChoice: { kind: "required", allowed: null } },
    },
    {
      name: "a deprecated choice of nothing",
      body: { function_call: "auto" },
      options: { tools: [], toolChoice: { kind: "none" } },
    },
  ];
  test.each(rows)("$name", async ({ body, options }) => {
    expect((await chatInput({ messages: [user], ...body })).options).toMatchObject(options);
  });

  const refusals: { body: object; code: string | null; param: string }[] = [
    {
      body: { tools: [{ type: "custom" }] },
      code: "unsupported_parameter",
      param: "tools[0].type",
    },
    {
      body: { tools: [{ type: "function" }] },
      code: "missing_required_parameter",
      param: "tools[0].function",
    },
    {
      body: { tools: [{ type: "function", function: {} }] },
      code: "missing_required_parameter",
      param: "tools[0].function.name",
    },
    {
      body: { tools: [named("a b")] },
      code: "invalid_value",
      param: "tools[0].function.name",
    },
    {
      body: { tools: [named("x".repeat(65))] },
      code: "invalid_value",
      param: "tools[0].function.name",
    },
    { body: { tools: [f, f] }, code: "invalid_value", param: "tools[1].function.name" },
    { body: { tools: [f], tool_choice: "maybe" }, code: "invalid_value", param: "tool_choice" },
    {
      body: { tools: [f], tool_choice: { type: "custom", custom: { name: "f" } } },
      code: "unsupported_parameter",
      param: "tool_choice.type",
    },
    { body: { tools: [f], tool_choice: named("z") }, code: "invalid_value", param: "tool_choice" },
    {
      body: { tools: [f], tool_choice: allowed("auto", "z") },
      code: "invalid_value",
      param: "tool_choice",
    },
    {
      body: { tools: [f], tool_choice: allowed("auto") },
      code: "empty_array",
      param: "tool_choice.allowed_tools.tools",
    },
    { body: { tool_choice: named("f") }, code: null, param: "tool_choice" },
    { body: { tools: "x" }, code: "invalid_type", param: "tools" },
    {
      body: { functions: [{ name: "f" }], function_call: { name: "z" } },
      code: "invalid_value",
      param: "function_call",
    },
    {
      body: { functions: [{ name: "f" }], tool_choice: named("z") },
      code: "invalid_value",
      param: "tool_choice",
    },
    {
      body: { functions: [{ name: "f" }], tool_choice: "maybe" },
      code: "invalid_value",
      param: "tool_choice",
    },
    {
      body: { tools: [f], function_call: { name: "z" } },
      code: "invalid_value",
      param: "function_call",
    },
    { body: { tools: [f], function_call: "maybe" }, code: "invalid_value", param: "function_call" },
    { body: { function_call: { name: "f" } }, code: null, param: "function_call" },
    { body: { function_call: "maybe" }, code: "invalid_value", param: "function_call" },
  ];
  test.each(refusals)("refuses $body", async ({ body, code, param }) => {
    expect(await chatRefusal({ messages: [user], ...body })).toEqual({ status: 400, code, param });
  });
});

describe("answer formats", () => {
  const schema = { type: "object", properties: { a: { type: "integer" } } };
  const anything = { type: "object" };
  const rows: { body: object; format: object }[] = [
    { body: {}, format: { kind: "text" } },
    { body: { response_format: { type: "text" } }, format: { kind: "text" } },
    {
      body: { response_format: { type: "json_object" } },
      format: { kind: "json", schema: anything, strict: false },
    },
    {
      body: { response_format: { type: "json_object", schema } },
      format: { kind: "json", schema, strict: false },
    },
    {
      body: { response_format: { type: "json_object", value: schema } },
      format: { kind: "json", schema, strict: false },
    },
    {
      body: { response_format: { type: "json", value: schema } },
      format: { kind: "json", schema, strict: false },
    },
    {
      body: {
        response_format: { type: "json_schema", json_schema: { name: "x", schema, strict: true } },
      },
      format: { kind: "json", schema, strict: true },
    },
    {
      body: { response_format: { type: "json_schema", json_schema: { schema, strict: "true" } } },
      format: { kind: "json", schema, strict: true },
    },
    {
      body: { response_format: { type: "json_schema", value: schema } },
      format: { kind: "json", schema, strict: false },
    },
    {
      body: { response_format: { type: "json_schema", schema } },
      format: { kind: "json", schema, strict: false },
    },
    {
      body: { response_format: { type: "json_schema", json_schema: { name: "x" } } },
      format: { kind: "json", schema: anything, strict: false },
    },
    { body: { json_schema: schema }, format: { kind: "json", schema, strict: false } },
    { body: { grammar: "root ::= [a]" }, format: { kind: "grammar", gbnf: "root ::= [a]" } },
    {
      body: {
        grammar: "root ::= [a]",
        tools: [{ type: "function", function: { name: "f" } }],
        tool_choice: "none",
      },
      format: { kind: "grammar", gbnf: "root ::= [a]" },
    },
  ];
  test.each(rows)("$body", async ({ body, format }) => {
    expect((await chatInput({ messages: [user], ...body })).options.format).toEqual(
      format as never,
    );
  });

  const refusals: { body: object; code: string; param: string }[] = [
    {
      body: { response_format: { type: "yaml" } },
      code: "invalid_value",
      param: "response_format.type",
    },
    {
      body: { response_format: { type: "json" } },
      code: "missing_required_parameter",
      param: "response_format.value",
    },
    {
      body: { response_format: {} },
      code: "missing_required_parameter",
      param: "response_format.type",
    },
    {
      body: { response_format: { type: "json_schema", json_schema: { name: "x".repeat(65) } } },
      code: "string_above_max_length",
      param: "response_format.json_schema.name",
    },
    {
      body: { response_format: { type: "json_schema", json_schema: { schema: [] } } },
      code: "invalid_type",
      param: "response_format.json_schema.schema",
    },
    {
      body: { grammar: "root ::= [a]", response_format: { type: "json_object" } },
      code: "invalid_value",
      param: "grammar",
    },
    {
      body: { grammar: "root ::= [a]", json_schema: schema },
      code: "invalid_value",
      param: "grammar",
    },
    {
      body: { grammar: "root ::= [a]", tools: [{ type: "function", function: { name: "f" } }] },
      code: "invalid_value",
      param: "grammar",
    },
  ];
  test.each(refusals)("refuses $body", async ({ body, code, param }) => {
    expect(await chatRefusal({ messages: [user], ...body })).toEqual({ status: 400, code, param });
  });
});

test("a grammar larger than its bound is refused", async () => {
  const body = { messages: [user], grammar: "x".repeat(256 * 1024 + 1) };
  expect(await chatRefusal(body)).toEqual({
    status: 400,
    code: "invalid_grammar",
    param: "grammar",
  });
});

describe("refusals from further in name the client's own fields", () => {
  const rows: { body: object; inner: string; param: string }[] = [
    { body: {}, inner: "prompt", param: "messages" },
    {
      body: { response_format: { type: "json_object" } },
      inner: "format",
      param: "response_format",
    },
    {
      body: { response_format: { type: "json_object" }, json_schema: { type: "object" } },
      inner: "format",
      param: "response_format",
    },
    {
      body: { response_format: { type: "text" }, json_schema: { type: "object" } },
      inner: "format",
      param: "json_schema",
    },
    { body: { json_schema: { type: "object" } }, inner: "format", param: "json_schema" },
    { body: { grammar: "root ::= [a]" }, inner: "format", param: "grammar" },
    { body: {}, inner: "tools[2].parameters", param: "tools[2].function.parameters" },
    {
      body: { functions: [{ name: "f" }] },
      inner: "tools[0].parameters",
      param: "functions[0].parameters",
    },
    { body: {}, inner: "messages", param: "messages" },
  ];
  test.each(rows)("$inner is $param", async ({ body, inner, param }) => {
    const error = () => invalidRequest(inner, "invalid_json_schema", "Bad.");
    const app = appWith({
      generate: failWith(error()),
      deps: { renderChat: () => Promise.reject(error()) },
    });
    for (const path of [CHAT, `${CHAT}/render`]) {
      const response = await app.handle(post(path, { messages: [user], ...body }));
      expect(await errorOf(response)).toMatchObject({ code: "invalid_json_schema", param });
    }
  });

  test("warnings do so too", async () => {
    const warnings = ["format: not enforced", "tools[0].parameters: not enforced", "a: b"];
    const app = appWith({ generate: play([started({ warnings }), finished(), done]) });
    const response = await app.handle(
      post(CHAT, { messages: [user], response_format: { type: "json_object" } }),
    );
    expect(response.headers.get("x-lmserver-warning")).toBe(
      "response_format: not enforced; tools[0].function.parameters: not enforced; a: b",
    );
  });
});

describe("constraints as other servers call them", () => {
  const foreign = { guided_json: {}, guided_choice: ["a"], structured_outputs: { regex: "a" } };
  const rows = [
    { path: CHAT, body: { messages: [user] }, field: "response_format" },
    { path: "/v1/completions", body: { prompt: "a" }, field: "json_schema" },
  ];

  test.each(rows)("are told as not obeyed by $path, whole or streamed", async (row) => {
    const app = appWith({ generate: play([started(), finished(), done]) });
    for (const stream of [false, true]) {
      const response = await app.handle(post(row.path, { ...row.body, ...foreign, stream }));
      expect(response.status).toBe(200);
      expect(response.headers.get("x-lmserver-warning")).toBe(
        `structured_outputs: it is not obeyed; use ${row.field} or grammar; ` +
          `guided_json: it is not obeyed; use ${row.field}; ` +
          `guided_choice: it is not obeyed; use ${row.field}`,
      );
      await response.text();
    }
  });

  test.each([
    { type: "json_schema", told: "response_format: it is not obeyed; use json_schema" },
    { type: "text", told: null },
  ])("a response format of type $type beside a raw prompt", async ({ type, told }) => {
    const app = appWith({ generate: play([started(), finished(), done]) });
    const body = { prompt: "a", response_format: { type } };
    const response = await app.handle(post("/v1/completions", body));
    expect(response.headers.get("x-lmserver-warning")).toBe(told);
  });

  test("are absent when null", async () => {
    const app = appWith({ generate: play([started(), finished(), done]) });
    const response = await app.handle(post(CHAT, { messages: [user], guided_json: null }));
    expect(response.headers.get("x-lmserver-warning")).toBeNull();
  });
});

describe("an answer that breaks its schema", () => {
  const issues = ["/name breaks /properties/name/not"];
  const schemaIssues = issues.map((text) => ({ param: "format", text }));
  const body = { messages: [user], response_format: { type: "json_object" } };
  const appThat = (lines: [string, unknown][]) =>
    appWith({
      generate: play([started(), finished({ schemaIssues }), done]),
      deps: { log: { ...silentLog, warn: (...line) => void lines.push([line[0], line[1]]) } },
    });

  test("says so in a header, a field and the log, which quotes nothing of it", async () => {
    const lines: [string, unknown][] = [];
    const response = await appThat(lines).handle(post(CHAT, body));
    expect(response.headers.get("x-lmserver-warning")).toBe(
      "response_format: /name breaks /properties/name/not",
    );
    const { choices } = (await response.json()) as { choices: unknown[] };
    expect(choices).toEqual([expect.objectContaining({ schema_issues: issues })]);
    expect(lines).toEqual([["answer breaks its schema", expect.objectContaining({ issues: 1 })]]);
    expect(JSON.stringify(lines)).not.toContain("/name");
  });

  test("says so in the last chunk of a stream", async () => {
    const response = await appThat([]).handle(post(CHAT, { ...body, stream: true }));
    const chunks = payloads(await response.text());
    expect(chunks.at(-2)).toMatchObject({
      choices: [{ finish_reason: "stop", schema_issues: issues }],
    });
    expect(JSON.stringify(chunks.slice(0, -2))).not.toContain("schema_issues");
  });

  test("names the tool whose arguments break theirs", async () => {
    const called = [{ param: "tools[2].parameters", text: "call 0: /tags breaks /uniqueItems" }];
    const generate = play([started(), finished({ schemaIssues: called }), done]);
    const response = await appWith({ generate }).handle(post(CHAT, body));
    expect(response.headers.get("x-lmserver-warning")).toBe(
      "tools[2].function.parameters: call 0: /tags breaks /uniqueItems",
    );
    const { choices } = (await response.json()) as { choices: unknown[] };
    expect(choices).toEqual([
      expect.objectContaining({ schema_issues: ["call 0: /tags breaks /uniqueItems"] }),
    ]);
  });

  test("names its choice among those of all prompts, and what all are warned of once", async () => {
    const generate: Generate = async function* ({ input }) {
      yield started({ warnings: ["format: /not is not enforced"] });
      const isLast =
        input.kind === "prompt" && input.prompt.kind === "text" && input.prompt.text === "c";
      yield finished({ choice: 0 });
      yield finished({ choice: 1, ...(isLast && { schemaIssues }) });
      yield done;
    };
    const prompts = { prompt: ["a", "b", "c"], n: 2, json_schema: { type: "object" } };
    const response = await appWith({ generate }).handle(post("/v1/completions", prompts));
    expect(response.headers.get("x-lmserver-warning")).toBe(
      "json_schema: /not is not enforced; json_schema: choice 5: /name breaks /properties/name/not",
    );
  });

  test("says so of raw prompts, too", async () => {
    const prompt = { prompt: "x", json_schema: { type: "object" } };
    const whole = await appThat([]).handle(post("/v1/completions", prompt));
    expect(whole.headers.get("x-lmserver-warning")).toStartWith("json_schema: /name");
    const stream = await appThat([]).handle(post("/v1/completions", { ...prompt, stream: true }));
    for (const choices of [
      ((await whole.json()) as { choices: unknown[] }).choices,
      (payloads(await stream.text()).at(-2) as { choices: unknown[] }).choices,
    ]) {
      expect(choices).toEqual([expect.objectContaining({ schema_issues: issues })]);
    }
  });
});
