import { describe, expect, test } from "bun:test";
import type { GenerateRequest } from "../../src/chat/events.ts";
import { appWith, chatBody, done, errorOf, finished, play, post, started } from "./fakes.ts";

const CHAT = "/v1/chat/completions";
const CALLED = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } };

/** The request that generation receives for this body. */
async function decoded(body: object): Promise<GenerateRequest> {
  const seen: GenerateRequest[] = [];
  const app = appWith({
    generate: play([started(), finished(), done], (request) => seen.push(request)),
  });
  const response = await app.handle(post(CHAT, { ...chatBody, ...body }));
  expect(await response.text()).toContain("chat.completion");
  return seen[0]!;
}

describe("what the parameters mean", () => {
  test("a request that chooses nothing leaves every choice open", async () => {
    const request = await decoded({});
    expect(request.sampling).toEqual({});
    expect(request).toMatchObject({
      model: "acme/tiny",
      stops: [],
      maxTokens: null,
      choices: 1,
      logprobs: null,
      promptLogprobs: false,
      cachePrompt: true,
      ttlSeconds: null,
    });
  });

  const rows: { body: object; request: object }[] = [
    { body: { model: null }, request: { model: null } },
    { body: { max_tokens: 7 }, request: { maxTokens: 7 } },
    { body: { max_tokens: -1 }, request: { maxTokens: null } },
    { body: { n_predict: 5 }, request: { maxTokens: 5 } },
    { body: { max_tokens: 7, n_predict: 5 }, request: { maxTokens: 7 } },
    { body: { max_completion_tokens: 3, max_tokens: 7 }, request: { maxTokens: 3 } },
    { body: { stop: "END" }, request: { stops: ["END"] } },
    { body: { stop: ["a", "", "b"] }, request: { stops: ["a", "b"] } },
    { body: { stop: "" }, request: { stops: [] } },
    { body: { logprobs: true }, request: { logprobs: 0 } },
    { body: { logprobs: true, top_logprobs: 5 }, request: { logprobs: 5 } },
    { body: { cache_prompt: false, ttl: 60 }, request: { cachePrompt: false, ttlSeconds: 60 } },
    { body: { n: 3 }, request: { choices: 3 } },
    { body: { temperature: 0, top_k: -1 }, request: { sampling: { temperature: 0, topK: -1 } } },
    { body: { typ_p: 0.5 }, request: { sampling: { typicalP: 0.5 } } },
    { body: { typical_p: 0.4, typ_p: 0.5 }, request: { sampling: { typicalP: 0.4 } } },
    { body: { repetition_penalty: 1.2 }, request: { sampling: { repeatPenalty: 1.2 } } },
    { body: { dry_base: 0.5 }, request: { sampling: { dryBase: 1.75 } } },
    {
      body: { mirostat: 2, mirostat_tau: 3 },
      request: { sampling: { mirostat: 2, mirostatTau: 3 } },
    },
    { body: { seed: -1 }, request: { sampling: { seed: null } } },
    { body: { seed: 5 }, request: { sampling: { seed: 5 } } },
    { body: { seed: -2 }, request: { sampling: { seed: 0xffff_fffe } } },
    { body: { seed: 0xffff_ffff }, request: { sampling: { seed: 0xffff_fffe } } },
    { body: { seed: 2 ** 32 + 7 }, request: { sampling: { seed: 7 } } },
    {
      body: { samplers: ["temperature", "typical_p"] },
      request: { sampling: { samplers: ["temperature", "typ_p"] } },
    },
    {
      body: { samplers: "kpt" },
      request: { sampling: { samplers: ["top_k", "top_p", "temperature"] } },
    },
    {
      body: { logit_bias: { "42": -100, " yes": 5, "7": false } },
      request: {
        sampling: {
          logitBias: [
            [7, null],
            [42, null],
            [" yes", 5],
          ],
        },
      },
    },
    {
      body: {
        logit_bias: [
          [42, 100],
          ["no", false],
        ],
      },
      request: {
        sampling: {
          logitBias: [
            [42, 100],
            ["no", null],
          ],
        },
      },
    },
    {
      body: { logit_bias: { "99999999999": 5, ["9".repeat(400)]: -100, "4294967296": 1 } },
      request: {
        sampling: {
          logitBias: [
            [2 ** 31 - 1, 5],
            [2 ** 31 - 1, null],
            [2 ** 31 - 1, 1],
          ],
        },
      },
    },
    {
      body: { logit_bias: [[1e20, 5]] },
      request: { sampling: { logitBias: [[2 ** 31 - 1, 5]] } },
    },
    { body: { ignore_eos: true }, request: { sampling: { ignoreEos: true } } },
  ];
  test.each(rows)("$body", async ({ body, request }) => {
    expect(await decoded(body)).toMatchObject(request);
  });

  const refusals: { body: object; code: string; param: string }[] = [
    { body: { samplers: ["nope"] }, code: "invalid_value", param: "samplers[0]" },
    { body: { samplers: "z" }, code: "invalid_value", param: "samplers" },
    { body: { logit_bias: { "1": 101 } }, code: "decimal_above_max_value", param: "logit_bias.1" },
    { body: { logit_bias: { "1": -101 } }, code: "decimal_below_min_value", param: "logit_bias.1" },
    { body: { logit_bias: { "1": true } }, code: "invalid_type", param: "logit_bias.1" },
    { body: { logit_bias: [[1]] }, code: "invalid_type", param: "logit_bias[0]" },
    { body: { logit_bias: [[1.5, 1]] }, code: "invalid_type", param: "logit_bias[0][0]" },
    { body: { modalities: ["audio", "text"] }, code: "unsupported_parameter", param: "modalities" },
    { body: { modalities: [] }, code: "unsupported_parameter", param: "modalities" },
    {
      body: { chat_template_kwargs: { enable_thinking: "no" } },
      code: "invalid_type",
      param: "chat_template_kwargs.enable_thinking",
    },
    { body: { reasoning_format: "x" }, code: "invalid_value", param: "reasoning_format" },
    {
      body: { continue_final_message: true },
      code: "invalid_value",
      param: "continue_final_message",
    },
    {
      body: {
        messages: [...chatBody.messages, { role: "assistant", content: "So" }],
        continue_final_message: true,
        add_generation_prompt: true,
      },
      code: "invalid_value",
      param: "add_generation_prompt",
    },
    ...[{ tool_calls: [CALLED] }, { tool_calls: [CALLED], content: "So" }].map((turn) => ({
      body: { messages: [...chatBody.messages, { role: "assistant", prefix: true, ...turn }] },
      code: "invalid_value",
      param: "messages[1].prefix",
    })),
    { body: { logprobs: 5 }, code: "invalid_type", param: "logprobs" },
    { body: { ttl: 0 }, code: "integer_below_min_value", param: "ttl" },
  ];
  test.each(refusals)("refuses $body", async ({ body, code, param }) => {
    const response = await appWith().handle(post(CHAT, { ...chatBody, ...body }));
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ code, param });
  });

  const options: { body: object; options: object }[] = [
    { body: {}, options: { reasoningEffort: null, enableThinking: null, splitReasoning: true } },
    {
      body: { reasoning_effort: "none" },
      options: { reasoningEffort: "none", enableThinking: false },
    },
    {
      body: { reasoning_effort: "high" },
      options: { reasoningEffort: "high", enableThinking: true },
    },
    { body: { reasoning: { effort: "low" } }, options: { reasoningEffort: "low" } },
    {
      body: { reasoning: { effort: "low" }, reasoning_effort: "high" },
      options: { reasoningEffort: "high" },
    },
    ...[
      { enable_thinking: false },
      { enable_thinking: false, reasoning_effort: "high" },
      { chat_template_kwargs: { enable_thinking: false }, reasoning_effort: "high" },
      { chat_template_kwargs: { enable_thinking: true }, enable_thinking: false },
      { chat_template_kwargs: { enable_thinking: null }, enable_thinking: false },
    ].map((body) => ({
      body,
      options: { enableThinking: false, templateKwargs: { enable_thinking: false } },
    })),
    {
      body: { chat_template_kwargs: { enable_thinking: true, x: 1 } },
      options: { enableThinking: true, templateKwargs: { enable_thinking: true, x: 1 } },
    },
    ...[{ enable_thinking: true }, { reasoning_effort: "high" }, {}].map((other) => ({
      body: {
        ...other,
        reasoning_budget_tokens: 0,
        chat_template_kwargs: { enable_thinking: true, x: 1 },
      },
      options: {
        enableThinking: false,
        reasoningBudget: 0,
        templateKwargs: { enable_thinking: false, x: 1 },
      },
    })),
    { body: { reasoning_budget_tokens: 64 }, options: { reasoningBudget: 64 } },
    { body: { thinking_budget_tokens: 7 }, options: { reasoningBudget: 7 } },
    { body: { reasoning_budget_tokens: -1 }, options: { reasoningBudget: null } },
    { body: { reasoning_format: "none" }, options: { splitReasoning: false } },
    {
      body: {
        messages: [...chatBody.messages, { role: "assistant", content: "So", prefix: true }],
      },
      options: { continueFinalMessage: true, addGenerationPrompt: false },
    },
    { body: { add_generation_prompt: false }, options: { addGenerationPrompt: false } },
  ];
  test.each(options)("template options of $body", async (row) => {
    const { input } = await decoded(row.body);
    expect(input.kind === "chat" && input.options).toMatchObject(row.options);
  });

  test("variables of the template that are null are absent", async () => {
    const { input } = await decoded({
      chat_template_kwargs: { enable_thinking: null, x: null, y: [null] },
      reasoning_effort: "low",
    });
    const told = input.kind === "chat" ? input.options : null;
    expect(told).toMatchObject({ enableThinking: true, reasoningEffort: "low" });
    expect(told?.templateKwargs).toEqual({ y: [null] });
  });
});
