import { call, type ParseCase, testReadings } from "../../../support/parse.ts";

const cases: readonly ParseCase[] = [
  {
    name: "an object",
    format: "llama-3",
    output: '{"name": "book_table", "parameters": {"place": "Rome", "seats": 2}}',
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "with its marker",
    format: "llama-3",
    output: '<|python_tag|>{"name": "ring_bell", "parameters": {}}',
    calls: [call("ring_bell", {})],
  },
  {
    name: "the name under function",
    format: "llama-3",
    output: '{"type": "function", "function": "ring_bell", "parameters": {}}',
    calls: [call("ring_bell", {})],
  },
  {
    name: "two objects with a semicolon",
    format: "llama-3",
    output:
      '{"name": "ring_bell", "parameters": {}}; {"name": "book_table", "parameters": {"place": "Rome", "seats": 2}}',
    calls: [call("ring_bell", {}), call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "two objects on lines",
    format: "llama-3",
    output: '{"name": "ring_bell", "parameters": {}}\n{"name": "ring_bell", "parameters": {}}',
    calls: [call("ring_bell", {}), call("ring_bell", {})],
  },
  {
    name: "an object on a line after text",
    format: "llama-3",
    output: 'Let me ring.\n{"name": "ring_bell", "parameters": {}}',
    text: "Let me ring.",
    calls: [call("ring_bell", {})],
  },
  {
    name: "a built-in tool in Python",
    format: "llama-3",
    output: '<|python_tag|>book_table.call(place="Ostia", seats=4)',
    calls: [call("book_table", { place: "Ostia", seats: 4 })],
  },
  {
    name: "Python that calls no tool",
    format: "llama-3",
    output: '<|python_tag|>print("x")',
    text: '<|python_tag|>print("x")',
  },
  {
    name: "an empty list for an answer",
    format: "llama-3",
    output: "[] is an empty list.",
    text: "[] is an empty list.",
  },
  {
    name: "nothing but an empty list",
    format: "llama-3",
    output: "[]",
    text: "[]",
  },
  {
    name: "an answer in JSON",
    format: "llama-3",
    output: '{"name": "Ann", "age": 3}\nmore',
    text: '{"name": "Ann", "age": 3}\nmore',
  },
  {
    name: "a name alone",
    format: "llama-3",
    output: '{"name": "ring_bell"}',
    text: '{"name": "ring_bell"}',
  },
  {
    name: "a list",
    format: "llama-3",
    output: "[1, 2, 3]",
    text: "[1, 2, 3]",
  },
  {
    name: "code with braces",
    format: "llama-3",
    output: 'Code:\n{"a": 1}\n{ x }',
    text: 'Code:\n{"a": 1}\n{ x }',
  },
  {
    name: "Python calls",
    format: "llama-4",
    output: '[book_table(place="Rome", seats=2), ring_bell()]',
    calls: [call("book_table", { place: "Rome", seats: 2 }), call("ring_bell", {})],
  },
  {
    name: "Python calls between markers",
    format: "llama-4",
    output: "<|python_start|>[ring_bell()]<|python_end|>",
    calls: [call("ring_bell", {})],
  },
  {
    name: "text between the markers, then a call",
    format: "llama-4",
    output: '<|python_start|>One moment.<|python_end|>{"name": "ring_bell", "parameters": {}}',
    text: "One moment.",
    calls: [call("ring_bell", {})],
  },
  {
    name: "a link in Markdown",
    format: "llama-4",
    output: "[ring](x) is a link",
    text: "[ring](x) is a link",
  },
];

testReadings("calls without markers", cases);
