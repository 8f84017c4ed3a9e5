import { call, THINK, type ParseCase, testReadings } from "../../../support/parse.ts";

/**
 * What models write beside the form of their templates: forgotten and repeated markers, whitespace,
 * other names for the same keys, and texts that only look like calls.
 */
const RING = call("ring_bell", {});
const ROME = call("book_table", { place: "Rome" });
const ROME_JSON = '{"name": "book_table", "arguments": {"place": "Rome"}}';
const CHANNEL = { start: "<|channel>thought", end: "<channel|>" };

const cases: readonly ParseCase[] = [
  {
    name: "whitespace before a call without markers",
    format: "llama-3",
    output: '\n {"name": "ring_bell", "parameters": {}}',
    calls: [RING],
  },
  {
    name: "whitespace before JSON that is no call",
    format: "llama-3",
    output: ' {"a": 1}',
    text: '{"a": 1}',
  },
  {
    name: "Python calls without a marker",
    format: "llama-3",
    output: '[ring_bell(), book_table(place="Rome")]',
    calls: [RING, ROME],
  },
  {
    name: "a fence within the markers",
    format: "hermes",
    output: `<tool_call>\n\`\`\`json\n${ROME_JSON}\n\`\`\`\n</tool_call>\nDone.`,
    text: "Done.",
    calls: [ROME],
  },
  {
    name: "another word for the arguments",
    format: "hermes",
    output: '<tool_call>{"tool": "book_table", "args": {"place": "Rome"}}</tool_call>',
    calls: [ROME],
  },
  {
    name: "the next call begins without an end of the last",
    format: "hermes",
    output: `<tool_call>\n${ROME_JSON}\n<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>`,
    calls: [ROME, RING],
  },
  {
    name: "two functions in one outer tag",
    format: "seed-oss",
    output:
      "<seed:tool_call>\n<function=book_table>\n<parameter=place>Rome</parameter>\n</function>\n<function=ring_bell>\n</function>\n</seed:tool_call> ok",
    text: "ok",
    calls: [ROME, RING],
  },
  {
    name: "a tag that is only spoken of",
    format: "qwen3-coder",
    output: "I could use <function=ring_bell> for that.",
    text: "I could use <function=ring_bell> for that.",
  },
  {
    name: "arguments as JSON behind a name",
    format: "glm-4.5",
    output: '<tool_call>book_table{"place": "Rome"}</tool_call>',
    calls: [ROME],
  },
  {
    name: "a name whose own end is forgotten",
    format: "hunyuan-3",
    output:
      "<tool_calls:opensource>\n<tool_call:opensource>book_table\n<arg_key:opensource>place</arg_key:opensource>\n<arg_value:opensource>Rome</arg_value:opensource>\n</tool_call:opensource>\n<tool_call:opensource>ring_bell\n</tool_call:opensource>\n</tool_calls:opensource>",
    calls: [ROME, RING],
  },
  {
    name: "whitespace around CDATA, and an object within",
    format: "minicpm-5",
    output:
      '<function name="book_table"><param name="place">\n<![CDATA[Rome]]>\n</param></function><function name="plan_trip"><param name="route"><![CDATA[{"legs": []}]]></param></function>',
    calls: [ROME, call("plan_trip", { route: { legs: [] } })],
  },
  {
    name: "no braces where there are no arguments",
    format: "gemma-4",
    output: "<|tool_call>call:ring_bell<tool_call|>",
    calls: [RING],
  },
  {
    name: "end and start of a channel without the other",
    format: "gemma-4",
    options: { tags: CHANNEL },
    output: "<|channel><|channel>thought\nhm<channel|>Hello<channel|>",
    reasoning: "hm",
    text: "Hello",
  },
  {
    name: "the role of the tools' answers ends the answer",
    format: "function-gemma",
    output: "<start_function_call>call:ring_bell{}<end_function_call><start_function_response>",
    calls: [RING],
  },
  {
    name: "separators without a role, and a call in a turn of its own",
    format: "gigachat-3",
    output: `Hello<|message_sep|>\n\nassistant<|role_sep|>\n<|message_sep|>\n\nfunction call<|role_sep|>\n${ROME_JSON}<|message_sep|>`,
    text: "Hello",
    calls: [ROME],
  },
  {
    name: "the separator ends the answer",
    format: "gigachat-3.1",
    output: `<|function_call|>${ROME_JSON}<|message_sep|>\n\nuser`,
    calls: [ROME],
  },
  {
    name: "text between markers goes on with the whitespace it has",
    format: "cohere",
    output: "<|START_RESPONSE|>\nOne.<|END_RESPONSE|>\n<|START_RESPONSE|>Two.\n<|END_RESPONSE|>\n",
    text: "One.\nTwo.",
  },
  {
    name: "blocks of reasoning keep the whitespace between them",
    format: "hermes",
    options: { tags: THINK },
    output: "<think>\none\n</think>\n<think>two</think>\n\nSo.",
    reasoning: "one\ntwo",
    text: "So.",
  },
  {
    name: "ERNIE: reasoning the prompt opened, a wrapped answer",
    format: "ernie-4.5",
    options: { tags: THINK, open: true },
    output: "hm\n</think>\n\n<response>\nHello <b>.\n</response>\n",
    reasoning: "hm",
    text: "Hello <b>.",
  },
  {
    name: "ERNIE: a wrapped text, then calls",
    format: "ernie-4.5",
    options: { tags: THINK, open: true },
    output: `hm\n</think>\n\n<response>\nOne moment.\n</response>\n<tool_call>\n${ROME_JSON}\n</tool_call>\n<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>\n`,
    reasoning: "hm",
    text: "One moment.",
    calls: [ROME, RING],
  },
  {
    name: "ERNIE: plain text",
    format: "ernie-4.5",
    output: "Hello <response> there",
    text: "Hello <response> there",
  },
  {
    name: "InternLM: text, then a call",
    format: "internlm-2",
    output:
      'One moment.<|action_start|><|plugin|>\n{"name": "book_table", "parameters": {"place": "Rome"}}<|action_end|>\n',
    text: "One moment.",
    calls: [ROME],
  },
  {
    name: "InternLM: another kind of action is text",
    format: "internlm-2",
    output: "<|action_start|><|interpreter|>\nprint(1)<|action_end|>",
    text: "<|action_start|><|interpreter|>\nprint(1)<|action_end|>",
  },
];

testReadings("off the beaten form", cases);
