import { call, type ParseCase, testReadings } from "../../../support/parse.ts";

const cases: readonly ParseCase[] = [
  {
    name: "one call",
    format: "hermes",
    output:
      '<tool_call>\n{"name": "book_table", "arguments": {"place": "Rome", "seats": 2}}\n</tool_call>',
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "no whitespace around the object",
    format: "hermes",
    output: '<tool_call>{"name":"book_table","arguments":{"place":"Rome"}}</tool_call>',
    calls: [call("book_table", { place: "Rome" })],
  },
  {
    name: "two calls in blocks of their own",
    format: "hermes",
    output:
      '<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "plan_trip", "arguments": {"stops": ["Bari", "Zürich 😀"], "route": {"legs": [{"by": "f\\u00e9rry"}]}}}\n</tool_call>',
    calls: [
      call("ring_bell", {}),
      call("plan_trip", { stops: ["Bari", "Zürich 😀"], route: { legs: [{ by: "férry" }] } }),
    ],
  },
  {
    name: "two calls in one block",
    format: "hermes",
    output:
      '<tool_call>\n{"name": "ring_bell", "arguments": {}}\n{"name": "book_table", "arguments": {"place": "x"}}\n</tool_call>',
    calls: [call("ring_bell", {}), call("book_table", { place: "x" })],
  },
  {
    name: "a list of calls",
    format: "hermes",
    output:
      '<tool_call>[{"name": "ring_bell", "arguments": {}}, {"name": "ring_bell", "arguments": {}}]</tool_call>',
    calls: [call("ring_bell", {}), call("ring_bell", {})],
  },
  {
    name: "text before a call",
    format: "hermes",
    output: 'One moment.\n\n<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>',
    text: "One moment.",
    calls: [call("ring_bell", {})],
  },
  {
    name: "text after a call",
    format: "hermes",
    output: '<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>\n\nRung.',
    text: "Rung.",
    calls: [call("ring_bell", {})],
  },
  {
    name: "text on both sides",
    format: "hermes",
    output: 'First\n<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>\nlast',
    text: "First\nlast",
    calls: [call("ring_bell", {})],
  },
  {
    name: "arguments before the name",
    format: "hermes",
    output:
      '<tool_call>\n{"arguments": {"place": "Rome", "seats": 2}, "name": "book_table"}\n</tool_call>',
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "arguments as JSON text in a string",
    format: "hermes",
    output:
      '<tool_call>\n{"name": "book_table", "arguments": "{\\"place\\": \\"a \\\\\\"b\\\\\\" \\u00fc\\"}"}\n</tool_call>',
    calls: [call("book_table", { place: 'a "b" ü' })],
  },
  {
    name: "empty arguments text",
    format: "hermes",
    output: '<tool_call>{"name": "ring_bell", "arguments": ""}</tool_call>',
    calls: [call("ring_bell", {})],
  },
  {
    name: "null for no arguments",
    format: "hermes",
    output: '<tool_call>{"name": "ring_bell", "arguments": null}</tool_call>',
    calls: [call("ring_bell", {})],
  },
  {
    name: "no arguments key",
    format: "hermes",
    output: '<tool_call>{"name": "ring_bell"}</tool_call>',
    calls: [call("ring_bell", {})],
  },
  {
    name: "nested under function, identifier after",
    format: "hermes",
    output:
      '<tool_call>{"type": "function", "function": {"name": "book_table", "arguments": {"place": "P"}}, "id": "t1"}</tool_call>',
    calls: [call("book_table", { place: "P" }, "t1")],
  },
  {
    name: "an identifier before the arguments",
    format: "hermes",
    output: '<tool_call>{"id": "t7", "name": "ring_bell", "arguments": {}}</tool_call>',
    calls: [call("ring_bell", {}, "t7")],
  },
  {
    name: "the closing marker inside a string",
    format: "hermes",
    output:
      '<tool_call>\n{"name": "book_table", "arguments": {"place": "</tool_call> {["}}\n</tool_call>',
    calls: [call("book_table", { place: "</tool_call> {[" })],
  },
  {
    name: "one brace too many",
    format: "hermes",
    output: '<tool_call>{"name": "book_table", "arguments": {"place": "P"}}}</tool_call>',
    calls: [call("book_table", { place: "P" })],
  },
  {
    name: "one brace too few",
    format: "hermes",
    output: '<tool_call>{"name": "book_table", "arguments": {"place": "P"}</tool_call> then',
    text: "then",
    calls: [call("book_table", { place: "P" })],
  },
  {
    name: "braces doubled as in a template's source",
    format: "hermes",
    output: '<tool_call>\n{{"name": "book_table", "arguments": {"place": "P"}}}\n</tool_call>',
    calls: [call("book_table", { place: "P" })],
  },
  {
    name: "Python's dict",
    format: "hermes",
    output:
      "<tool_call>\n{'name': 'plan_trip', 'arguments': {'guided': True, 'stops': ['x']}}\n</tool_call>",
    calls: [call("plan_trip", { guided: true, stops: ["x"] })],
  },
  {
    name: "numbers are passed on as written",
    format: "hermes",
    output:
      '<tool_call>{"name": "plan_trip", "arguments": {"budget": 1.50, "code": 12345678901234567890}}</tool_call>',
    calls: [call("plan_trip", { budget: 1.5, code: 12345678901234567000 })],
  },
  {
    name: "an object without markers",
    format: "hermes",
    output: '{"name": "book_table", "arguments": {"place": "P"}}',
    calls: [call("book_table", { place: "P" })],
  },
  {
    name: "an object in a fence",
    format: "hermes",
    output: '```json\n{"name": "book_table", "arguments": {"place": "P"}}\n```',
    calls: [call("book_table", { place: "P" })],
  },
  {
    name: "other JSON is text",
    format: "hermes",
    output: '{"temperature": 21}',
    text: '{"temperature": 21}',
  },
  {
    name: "other JSON in a fence is text",
    format: "hermes",
    output: '```json\n{"temperature": 21}\n```\nDone.',
    text: '```json\n{"temperature": 21}\n```\nDone.',
  },
  {
    name: "an unknown tool is text",
    format: "hermes",
    output: '<tool_call>\n{"name": "fly", "arguments": {}}\n</tool_call>',
    text: '<tool_call>\n{"name": "fly", "arguments": {}}\n</tool_call>',
  },
  {
    name: "talk about the marker is text",
    format: "hermes",
    output: "Write <tool_call> and </tool_call>, like <tool_call>{json}</tool_call>.",
    text: "Write <tool_call> and </tool_call>, like <tool_call>{json}</tool_call>.",
  },
  {
    name: "a broken object is text",
    format: "hermes",
    output: '<tool_call>{"name": "book_table" "arguments": {}}</tool_call>',
    text: '<tool_call>{"name": "book_table" "arguments": {}}</tool_call>',
  },
  {
    name: "JSON lines in a section",
    format: "minimax-m1",
    output:
      '<tool_calls>\n{"name": "ring_bell", "arguments": {}}\n{"name": "book_table", "arguments": {"place": "Rome", "seats": 2}}\n</tool_calls>',
    calls: [call("ring_bell", {}), call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "a list in a section",
    format: "apriel",
    output:
      '<tool_calls>[{"name": "ring_bell", "arguments": {}}, {"name": "book_table", "arguments": {"place": "Rome", "seats": 2}}]</tool_calls>',
    calls: [call("ring_bell", {}), call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "an empty list is nothing",
    format: "nemotron-v2",
    output: "<TOOLCALL>[]</TOOLCALL>Hello",
    text: "Hello",
  },
  {
    name: "identifiers after the arguments",
    format: "mistral-v3",
    output:
      '[TOOL_CALLS] [{"name": "ring_bell", "arguments": {}, "id": "abc123def"}, {"name": "ring_bell", "arguments": {}, "id": "abc123deg"}]',
    calls: [call("ring_bell", {}, "abc123def"), call("ring_bell", {}, "abc123deg")],
  },
  {
    name: "identifiers before the arguments",
    format: "cohere",
    output:
      '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "ring_bell", "parameters": {}},\n    {"tool_call_id": "1", "tool_name": "book_table", "parameters": {"place": "Rome", "seats": 2}}\n]<|END_ACTION|>',
    calls: [call("ring_bell", {}, "0"), call("book_table", { place: "Rome", seats: 2 }, "1")],
  },
  {
    name: "the name as the key",
    format: "apertus",
    output:
      'Hm <|tools_prefix|>[{"ring_bell": {}}, {"book_table": {"place": "Rome", "seats": 2}}]<|tools_suffix|>',
    text: "Hm",
    calls: [call("ring_bell", {}), call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "a fenced list with pretty printing",
    format: "command-r-plus",
    output:
      'I see.\nAction:\n```json\n[\n    {\n        "tool_name": "book_table",\n        "parameters": {\n            "place": "Rome"\n        }\n    }\n]\n```',
    text: "I see.",
    calls: [call("book_table", { place: "Rome" })],
  },
  {
    name: "a name that means no tool",
    format: "command-r-plus",
    output:
      'Action:\n```json\n[\n    {\n        "tool_name": "directly-answer",\n        "parameters": {}\n    }\n]\n```',
  },
  {
    name: "a marker that is a word",
    format: "firefunction",
    output: ' functools[{"name": "ring_bell", "arguments": {}}]',
    calls: [call("ring_bell", {})],
  },
  {
    name: "a marker with newlines",
    format: "gigachat-3",
    output:
      'Sure.<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": "ring_bell", "arguments": {}}',
    text: "Sure.",
    calls: [call("ring_bell", {})],
  },
  {
    name: "a marker of two tokens",
    format: "internlm-2",
    output:
      'Sure<|action_start|><|plugin|>\n{"name": "book_table", "parameters": {"place": "Rome", "seats": 2}}<|action_end|>',
    text: "Sure",
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "a list between paired markers",
    format: "phi-4-mini",
    output: '<|tool_call|>[{"name": "ring_bell", "arguments": {}}]<|/tool_call|>',
    calls: [call("ring_bell", {})],
  },
  {
    name: "the fallback format",
    format: "tool-request",
    output:
      'Yes.\n[TOOL_REQUEST]{"name": "ring_bell", "arguments": {}}[END_TOOL_REQUEST]\n[TOOL_REQUEST]{"name": "book_table", "arguments": {"place": "Rome", "seats": 2}}[END_TOOL_REQUEST]',
    text: "Yes.",
    calls: [call("ring_bell", {}), call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "another family's marker in the fallback format",
    format: "tool-request",
    output: '<tool_call>{"name": "ring_bell", "arguments": {}}</tool_call>',
    calls: [call("ring_bell", {})],
  },
];

testReadings("JSON calls", cases);
