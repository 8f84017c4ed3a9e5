import { definer } from "./define.ts";
import type { BareJsonFormat, JsonFormat } from "./format.ts";

const json = definer<JsonFormat>()("json", {
  close: null,
  section: false,
  array: false,
  nameKey: "name",
  argumentsKey: "arguments",
  id: null,
  ignoredNames: [],
});

const bareJson = definer<BareJsonFormat>()("bareJson", {
  close: null,
  nameKey: "name",
  argumentsKey: "parameters",
  separator: "; ",
  parallel: false,
  python: false,
});

/** Formats whose calls are JSON objects that hold the name. */
export const JSON_FORMATS = [
  json({
    name: "hermes",
    openers: ["<tool_call>"],
    close: "</tool_call>",
    sourceHints: ["<tool_call>"],
  }),
  json({
    name: "ernie-4.5",
    openers: ["<tool_call>"],
    close: "</tool_call>",
    wrapper: ["<response>", "</response>"],
    requires: "<response>",
  }),
  json({
    name: "minimax-m1",
    openers: ["<tool_calls>"],
    close: "</tool_calls>",
    section: true,
    requires: "<beginning_of_sentence>",
  }),
  json({
    name: "apriel",
    openers: ["<tool_calls>"],
    close: "</tool_calls>",
    section: true,
    array: true,
    noise: ["[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"],
    requires: "[BEGIN FINAL RESPONSE]",
  }),
  json({
    name: "jamba",
    openers: ["<tool_calls>"],
    close: "</tool_calls>",
    section: true,
    array: true,
  }),
  json({
    name: "nemotron-v2",
    openers: ["<TOOLCALL>"],
    close: "</TOOLCALL>",
    section: true,
    array: true,
  }),
  json({
    name: "mistral-v3",
    openers: ["[TOOL_CALLS]"],
    section: true,
    array: true,
    idStyle: "nine",
    id: { key: "id", position: "last" },
  }),
  json({ name: "firefunction", openers: ["functools"], section: true, array: true }),
  json({
    name: "granite-3",
    openers: ["<|tool_call|>", "<tool_call>"],
    section: true,
    array: true,
    wrapper: ["<response>", "</response>"],
    sourceHints: ["<|tool_call|> followed by a JSON list", "<|tool_call|>"],
    requires: "start_of_role",
  }),
  json({
    name: "phi-4-mini",
    openers: ["<|tool_call|>"],
    close: "<|/tool_call|>",
    sourceHints: ["<|/tool_call|>", "<|/tool|>"],
  }),
  json({
    name: "cohere",
    openers: ["<|START_ACTION|>"],
    close: "<|END_ACTION|>",
    section: true,
    array: true,
    nameKey: "tool_name",
    argumentsKey: "parameters",
    idStyle: "counter",
    id: { key: "tool_call_id", position: "first" },
    noise: ["<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"],
    ignoredNames: ["directly-answer"],
    sourceHints: ["<|START_ACTION|>"],
  }),
  json({
    name: "command-r-plus",
    openers: ["Action:\n```json", "Action: ```json", "Action:```json"],
    close: "```",
    section: true,
    array: true,
    nameKey: "tool_name",
    argumentsKey: "parameters",
    ignoredNames: ["directly-answer", "directly_answer"],
    sourceHints: ["directly-answer"],
  }),
  json({
    name: "apertus",
    openers: ["<|tools_prefix|>"],
    close: "<|tools_suffix|>",
    section: true,
    array: true,
    nameKey: null,
  }),
  json({
    name: "gigachat-3",
    openers: ["<|message_sep|>\n\nfunction call<|role_sep|>\n"],
    parallel: false,
    keepSpecial: ["<|message_sep|>", "<|role_sep|>"],
    textStops: ["<|message_sep|>\n\nuser"],
    sourceHints: ["function call<|role_sep|>"],
  }),
  json({
    name: "gigachat-3.1",
    openers: ["<|function_call|>"],
    parallel: false,
    sourceHints: ["<|function_call|>"],
  }),
  json({
    name: "internlm-2",
    openers: ["<|action_start|><|plugin|>", "<|action_start|> <|plugin|>"],
    close: "<|action_end|>",
    argumentsKey: "parameters",
    parallel: false,
    keepSpecial: ["<|action_start|>", "<|plugin|>"],
    sourceHints: ["<|plugin|>"],
  }),
  json({
    name: "tool-request",
    openers: ["[TOOL_REQUEST]", "<tool_call>"],
    close: "[END_TOOL_REQUEST]",
  }),
] as const satisfies readonly JsonFormat[];

/** Formats whose calls are the whole answer. */
export const BARE_JSON_FORMATS = [
  bareJson({
    name: "llama-3",
    openers: ["<|python_tag|>"],
    sourceHints: ['"parameters": dictionary of argument name'],
  }),
  bareJson({
    name: "llama-4",
    openers: ["<|python_start|>", "<|python_end|>"],
    close: "<|python_end|>",
    noise: ["<|python_start|>", "<|python_end|>"],
    parallel: true,
    python: true,
    requires: "<|header_start|>",
  }),
] as const satisfies readonly BareJsonFormat[];
