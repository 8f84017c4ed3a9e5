import { call, type ParseCase, testReadings } from "../../../support/parse.ts";

const cases: readonly ParseCase[] = [
  {
    name: "one call",
    format: "mistral-v11",
    output: '[TOOL_CALLS]book_table[ARGS]{"place": "Rome", "seats": 2}',
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "several calls and text around",
    format: "mistral-v11",
    output:
      'Well[TOOL_CALLS]ring_bell[ARGS]{}[TOOL_CALLS]book_table[ARGS]{"place": "[TOOL_CALLS]"}',
    text: "Well",
    calls: [call("ring_bell", {}), call("book_table", { place: "[TOOL_CALLS]" })],
  },
  {
    name: "the brace ends the name",
    format: "mistral-v11",
    output: '[TOOL_CALLS]book_table{"place": "P"}',
    calls: [call("book_table", { place: "P" })],
  },
  {
    name: "an identifier behind the name",
    format: "mistral-v13",
    output:
      '[TOOL_CALLS]ring_bell[CALL_ID]a1b2c3d4e[ARGS]{}[TOOL_CALLS]book_table[CALL_ID]a1b2c3d4f[ARGS]{"place": "Rome", "seats": 2}',
    calls: [
      call("ring_bell", {}, "a1b2c3d4e"),
      call("book_table", { place: "Rome", seats: 2 }, "a1b2c3d4f"),
    ],
  },
  {
    name: "no identifier where one could be",
    format: "mistral-v13",
    output: "[TOOL_CALLS]ring_bell[ARGS]{}",
    calls: [call("ring_bell", {})],
  },
  {
    name: "an identifier that holds the name",
    format: "kimi-k2",
    output:
      '<|tool_calls_section_begin|><|tool_call_begin|>functions.ring_bell:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_call_begin|>functions.book_table:11<|tool_call_argument_begin|>{"place": "Rome", "seats": 2}<|tool_call_end|><|tool_calls_section_end|>',
    calls: [
      call("ring_bell", {}, "functions.ring_bell:0"),
      call("book_table", { place: "Rome", seats: 2 }, "functions.book_table:11"),
    ],
  },
  {
    name: "no section markers",
    format: "kimi-k2",
    output:
      "<|tool_call_begin|>functions.ring_bell:3<|tool_call_argument_begin|>{}<|tool_call_end|>",
    calls: [call("ring_bell", {}, "functions.ring_bell:3")],
  },
  {
    name: "no namespace",
    format: "kimi-k2",
    output:
      "<|tool_calls_section_begin|><|tool_call_begin|>ring_bell:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
    calls: [call("ring_bell", {}, "ring_bell:1")],
  },
  {
    name: "text after the section",
    format: "kimi-k2",
    output:
      "<|tool_calls_section_begin|><|tool_call_begin|>functions.ring_bell:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>Bye",
    text: "Bye",
    calls: [call("ring_bell", {}, "functions.ring_bell:0")],
  },
  {
    name: "several calls in a section",
    format: "deepseek-v3.1",
    output:
      'Look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>ring_bell<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁call▁begin｜>book_table<｜tool▁sep｜>{"place": "Rome", "seats": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    text: "Look.",
    calls: [call("ring_bell", {}), call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "arguments in a fence",
    format: "deepseek-r1",
    output:
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>ring_bell\n```json\n{}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>book_table\n```json\n{"place": "```"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    calls: [call("ring_bell", {}), call("book_table", { place: "```" })],
  },
  {
    name: "an identifier before the name",
    format: "solar-open",
    output:
      '<|tool_calls|><|tool_call:begin|>k9<|tool_call:name|>ring_bell<|tool_call:args|>{}<|tool_call:end|><|tool_call:begin|>k10<|tool_call:name|>book_table<|tool_call:args|>{"place": "Rome", "seats": 2}<|tool_call:end|><|calls|>',
    calls: [call("ring_bell", {}, "k9"), call("book_table", { place: "Rome", seats: 2 }, "k10")],
  },
  {
    name: "calls back to back",
    format: "functionary-3.1",
    output:
      'Hm. <function=ring_bell>{}</function><function=book_table>{"place": "</function>"}</function>',
    text: "Hm.",
    calls: [call("ring_bell", {}), call("book_table", { place: "</function>" })],
  },
  {
    name: "no arguments at all",
    format: "functionary-3.1",
    output: "<function=ring_bell></function>",
    calls: [call("ring_bell", {})],
  },
  {
    name: "arguments as JSON text",
    format: "functionary-3.1",
    output: '<function=book_table>"{\\"place\\": \\"P\\"}"</function>',
    calls: [call("book_table", { place: "P" })],
  },
  {
    name: "an unknown tool is text",
    format: "functionary-3.1",
    output: "Write <function=fly>{}</function> so.",
    text: "Write <function=fly>{}</function> so.",
  },
  {
    name: "an unknown second call is text",
    format: "deepseek-v3.1",
    output:
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>ring_bell<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁call▁begin｜>fly<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    text: "<｜tool▁call▁begin｜>fly<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    calls: [call("ring_bell", {})],
  },
];

testReadings("names between markers", cases);
