import { describe, expect, test } from "bun:test";
import type { Tool } from "../../../src/chat/conversation.ts";
import type { JobEvent } from "../../../src/protocol/events.ts";
import {
  answer,
  finishedOf,
  run,
  startedOf,
  textOf,
  weather,
  withTools,
} from "../../support/generate-fixture.ts";

describe("tool calls", () => {
  const pieces = [
    "Let me see.\n",
    "<tool_call>",
    '\n{"name": "get_weather", ',
    '"arguments": {"city": "Rome"}}',
    "\n</tool_call>",
  ];

  test("are told with a name, arguments and the finish reason", async () => {
    const { events, job } = await run(answer(pieces), { input: withTools() });
    expect(textOf(events, "text")).toBe("Let me see.");
    const call = events.find((event) => event.type === "toolCall");
    expect(call).toMatchObject({ index: 0, name: "get_weather" });
    expect(call?.id).toMatch(/^call_[A-Za-z0-9]{24}$/);
    expect(JSON.parse(textOf(events, "toolArguments"))).toEqual({ city: "Rome" });
    expect(finishedOf(events)).toMatchObject({ reason: "tool_calls" });
    expect(job.keepSpecial).toContain("<tool_call>");
    expect(job.grammar?.attach).toMatchObject({ kind: "marker", markers: ["<tool_call>"] });
  });

  test("never have the identifier of an earlier call, also in another choice", async () => {
    const call = '<tool_call>{"id": "call_1", "name": "get_weather", "arguments": {}}</tool_call>';
    const both = [...answer([call]), ...answer([call], "stop", 1)];
    const once = await run(both, { input: withTools(), choices: 2 });
    const idsIn = (events: typeof once.events): string[] =>
      events.flatMap((event) => (event.type === "toolCall" ? [event.id] : []));
    expect(idsIn(once.events)).toEqual(["call_1", expect.stringMatching(/^call_[A-Za-z0-9]{24}$/)]);
    const input = withTools();
    if (input.kind !== "chat") throw new Error("not a chat");
    const facts = { content: [], reasoning: null, toolCallId: null, name: null };
    const earlier = { id: "call_1", name: "get_weather", arguments: "{}" };
    const answered = { ...facts, role: "assistant" as const, toolCalls: [earlier] };
    const history = { ...input, messages: [...input.messages, answered, ...input.messages] };
    const again = await run(answer([call]), { input: history });
    expect(idsIn(again.events)).toEqual([expect.stringMatching(/^call_[A-Za-z0-9]{24}$/)]);
  });

  test("cut by the limit end with length", async () => {
    const { events } = await run(answer(pieces.slice(0, 3), "length"), { input: withTools() });
    expect(finishedOf(events)).toMatchObject({ reason: "length" });
  });

  test("cut before their name is known are no text", async () => {
    const required = { toolChoice: { kind: "required", allowed: null } } as const;
    const heads = [
      { input: withTools(), head: '<tool_call>\n{"name": "get_' },
      { input: withTools(required), head: "<tool_" },
    ];
    for (const { input, head } of heads) {
      const { events } = await run(answer([head], "length"), { input });
      expect(textOf(events, "text")).toBe("");
      expect(finishedOf(events)).toMatchObject({ reason: "length" });
    }
  });

  test("cut by a stop string of the request are no whole calls, cut by one of the format they are", async () => {
    const cut = ["<tool_call>", '\n{"name": "get_weather", ', '"arguments": {"city": "Ro'];
    const stopped = (stop: string): JobEvent[] =>
      answer(cut).map((event) => (event.type === "choiceDone" ? { ...event, stop } : event));
    const own = await run(stopped("me"), { input: withTools(), stops: ["me"] });
    expect(finishedOf(own.events)).toMatchObject({ reason: "stop", stop: "me" });
    expect(textOf(own.events, "toolArguments")).toBe('{"city": "Ro');
    const byFormat = await run(stopped("<|im_end|>"), { input: withTools() });
    expect(finishedOf(byFormat.events)).toMatchObject({ reason: "tool_calls", stop: null });
  });

  test("are neither read nor offered when the choice is none", async () => {
    const { events, job } = await run(answer(pieces), {
      input: withTools({ toolChoice: { kind: "none" } }),
    });
    expect(events.some((event) => event.type === "toolCall")).toBe(false);
    expect(job.grammar).toBeNull();
    expect(JSON.stringify(job.prompt)).not.toContain("TOOLS");
  });

  test("that are required are constrained from the start, after open reasoning from its end", async () => {
    const toolChoice = { kind: "required", allowed: null } as const;
    const closed = await run(answer(pieces.slice(1)), {
      input: withTools({ toolChoice, enableThinking: false }),
    });
    expect(closed.job.grammar?.attach).toEqual({ kind: "start" });
    const templateKwargs = { prefill: true };
    const open = await run(answer(["x"]), { input: withTools({ toolChoice, templateKwargs }) });
    expect(open.job.grammar?.attach).toEqual({ kind: "after", end: "</think>" });
  });

  test("of which one is allowed end the job when the model goes on and on", async () => {
    const babble = Array.from({ length: 40 }, () => "more ");
    const script = answer([...pieces.slice(1), ...babble]);
    const one = withTools({ parallelToolCalls: false });
    const { events } = await run(script, { input: one });
    expect(events.filter((event) => event.type === "toolCall")).toHaveLength(1);
    expect(textOf(events, "text")).toBe("");
    const told = finishedOf(events);
    expect(told).toMatchObject({ reason: "tool_calls", stop: null });
    expect(told?.completionTokens).toBeLessThan(pieces.length + 20);
    expect(events.at(-1)).toMatchObject({ type: "done" });
    const both = await run([...script, ...answer(babble, "stop", 1)], { input: one, choices: 2 });
    expect(finishedOf(both.events)).toMatchObject({ completionTokens: 44 });
  });

  test("limited to some tools still show all of them", async () => {
    const other: Tool = { ...weather, name: "other" };
    const toolChoice = { kind: "auto", allowed: ["other"] } as const;
    const { job } = await run(answer(["x"]), {
      input: withTools({ tools: [weather, other], toolChoice }),
    });
    expect(JSON.stringify(job.prompt)).toContain("TOOLS get_weather other");
    expect(job.grammar?.gbnf).not.toContain("get_weather");
  });
});

describe("arguments that break what no grammar enforces", () => {
  const tags = { type: "array", items: { type: "integer" }, uniqueItems: true };
  const tool = (strict: boolean, more: object = {}): Tool => ({
    ...weather,
    parameters: { type: "object", properties: { tags }, ...more },
    strict,
  });
  const calls = (...values: string[]): JobEvent[] =>
    answer(
      values.map(
        (value) =>
          `<tool_call>{"name": "get_weather", "arguments": {"tags": ${value}}}</tool_call>\n`,
      ),
    );

  test("are warned of before the answer, and told of with the call and the place", async () => {
    const input = withTools({ tools: [{ ...weather, name: "other" }, tool(false)] });
    const { events } = await run(calls("[1]", "[2, 2]"), { input });
    expect(startedOf(events)).toMatchObject({
      warnings: [
        "tools[1].parameters: uniqueItems at /properties/tags/uniqueItems is not enforced",
      ],
    });
    expect(finishedOf(events)?.schemaIssues).toEqual([
      {
        param: "tools[1].parameters",
        text: "call 1: /tags breaks /properties/tags/uniqueItems",
      },
    ]);
  });

  test("are not told of where all is well, or where the call was cut", async () => {
    const input = withTools({ tools: [tool(false)] });
    const fine = await run(calls("[1, 2]"), { input });
    expect(finishedOf(fine.events)).not.toHaveProperty("schemaIssues");
    const pieces = ['<tool_call>{"name": "get_weather", "arguments": {"tags": [1, 1'];
    const cut = await run(answer(pieces, "length"), { input });
    expect(finishedOf(cut.events)).not.toHaveProperty("schemaIssues");
  });

  test("refuse the request when the tool is strict", async () => {
    const more = { dependentRequired: { tags: ["other"] } };
    const input = withTools({ tools: [tool(true, more)] });
    const refused: unknown = await run(calls("[1]"), { input }).catch((error: unknown) => error);
    expect(String(refused)).toContain("dependentRequired at /dependentRequired");
  });

  test("are told of a strict tool, too, where the check of its arguments decides", async () => {
    const input = withTools({ tools: [tool(true)] });
    const { events } = await run(calls("[1, 1]"), { input });
    expect(finishedOf(events)).toHaveProperty("schemaIssues");
  });

  test("a schema of which no grammar can be made is warned of as a whole", async () => {
    const broken = tool(false, { required: ["a"], properties: { a: { $ref: "http://x/y" } } });
    const { events, job } = await run(calls("[1]"), { input: withTools({ tools: [broken] }) });
    expect(startedOf(events)).toMatchObject({
      warnings: ["tools[0].parameters: the schema at / is not enforced"],
    });
    expect(job.grammar?.gbnf).toContain("get_weather");
    expect(finishedOf(events)).toMatchObject({ reason: "tool_calls" });
  });
});
