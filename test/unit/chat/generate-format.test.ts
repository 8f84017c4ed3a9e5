import { describe, expect, test } from "bun:test";
import type { GenerateRequest } from "../../../src/chat/events.ts";
import { hasCode } from "../../../src/lib/errors.ts";
import { answer, chat, finishedOf, run, startedOf } from "../../support/generate-fixture.ts";

describe("answers in a format", () => {
  test("JSON by a schema is constrained after the reasoning", async () => {
    const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
    const input = chat({
      format: { kind: "json", schema, strict: false },
      templateKwargs: { prefill: true },
    });
    const { job } = await run(answer(["x"]), { input });
    expect(job.grammar?.attach).toEqual({ kind: "after", end: "</think>" });
    expect(job.grammar?.gbnf).toContain("root");
  });

  test("an answer that breaks such a keyword is told of", async () => {
    const schema = { type: "array", items: { type: "integer" }, uniqueItems: true };
    const input = chat({ format: { kind: "json", schema, strict: false } });
    const broken = await run(answer(["[1, ", "1]"]), { input });
    expect(finishedOf(broken.events)).toMatchObject({
      schemaIssues: [{ param: "format", text: "the answer breaks /uniqueItems" }],
    });
    const whole = await run(answer(["[1, 2]"]), { input });
    expect(finishedOf(whole.events)).not.toHaveProperty("schemaIssues");
  });

  test("a raw prompt's schema is planned, warned of and checked alike", async () => {
    const schema = { type: "array", items: { type: "integer" }, contains: { const: 1 } };
    const input = (strict: boolean): GenerateRequest["input"] => ({
      kind: "prompt",
      prompt: { kind: "text", text: "x" },
      format: { kind: "json", schema, strict },
    });
    const { events, job } = await run(answer(["[2,2]"]), { input: input(false) });
    expect(job.grammar).toMatchObject({ attach: { kind: "start" } });
    expect(startedOf(events)).toMatchObject({
      warnings: [expect.stringContaining("/contains")],
    });
    expect(finishedOf(events)).toMatchObject({ schemaIssues: [expect.anything()] });
    const error = await run([], { input: input(true) }).catch((caught: unknown) => caught);
    expect(hasCode(error, "invalid_request") && error.details).toMatchObject({
      param: "format",
      reason: "invalid_json_schema",
    });
    expect(String(error)).toContain("/contains");
  });

  test("a keyword that no grammar enforces is told", async () => {
    const schema = { type: "array", items: { type: "integer" }, uniqueItems: true };
    const { events } = await run(answer(["[1]"]), {
      input: chat({ format: { kind: "json", schema, strict: false } }),
    });
    expect(startedOf(events)).toMatchObject({
      type: "started",
      warnings: [expect.stringContaining("uniqueItems")],
    });
  });
});
