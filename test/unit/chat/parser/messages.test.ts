import { call, type ParseCase, testReadings } from "../../../support/parse.ts";

const cases: readonly ParseCase[] = [
  {
    name: "an answer",
    format: "harmony",
    output: "<|channel|>final<|message|>Hello\nthere",
    text: "Hello\nthere",
  },
  {
    name: "reasoning, then an answer",
    format: "harmony",
    output:
      "<|channel|>analysis<|message|>Why?<|end|><|start|>assistant<|channel|>final<|message|>So.<|return|>",
    reasoning: "Why?",
    text: "So.",
  },
  {
    name: "reasoning, a remark, a call",
    format: "harmony",
    output:
      '<|channel|>analysis<|message|>Why?<|end|><|start|>assistant<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant<|channel|>commentary to=functions.book_table <|constrain|>json<|message|>{"place": "Rome", "seats": 2}<|call|>',
    reasoning: "Why?",
    text: "One moment.",
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "the recipient before the channel",
    format: "harmony",
    output: " to=functions.ring_bell<|channel|>commentary json<|message|>{}",
    calls: [call("ring_bell", {})],
  },
  {
    name: "a call on the analysis channel",
    format: "harmony",
    output: "<|channel|>analysis to=functions.ring_bell code<|message|>{}<|call|>",
    calls: [call("ring_bell", {})],
  },
  {
    name: "a recipient without a namespace",
    format: "harmony",
    output: "<|channel|>commentary to=ring_bell<|message|>{}<|call|>",
    calls: [call("ring_bell", {})],
  },
  {
    name: "an unknown recipient is text",
    format: "harmony",
    output: '<|channel|>commentary to=functions.fly <|constrain|>json<|message|>{"a": 1}<|call|>',
    text: '{"a": 1}',
  },
  {
    name: "a stray header before the header",
    format: "harmony",
    output: "<|channel|>commentary<|channel|>analysis<|message|>hm",
    reasoning: "hm",
  },
  {
    name: "text without a header",
    format: "harmony",
    output: "plain <text>",
    text: "plain <text>",
  },
  {
    name: "a header that the end cuts is no text",
    format: "harmony",
    output: "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>fin",
    reasoning: "hm",
  },
  {
    name: "whitespace before a header",
    format: "harmony",
    output: "\n <|channel|>final<|message|>Hi",
    text: "Hi",
  },
  {
    name: "whitespace before text without a header",
    format: "harmony",
    output: " to be",
    text: "to be",
  },
  {
    name: "text to the user",
    format: "muse",
    output: " to=user<|message|>Hi <b><|eot|>",
    text: "Hi <b>",
  },
  {
    name: "reasoning, calls, text",
    format: "muse",
    output:
      ' to=self<|message|>hm<|eom|><|start|>assistant to=ring_bell<|message|><atem:function_calls>\n<atem:invoke name="ring_bell">\n</atem:invoke>\n</atem:function_calls><|eom|><|start|>assistant to=book_table<|message|><atem:function_calls>\n<atem:invoke name="book_table">\n<atem:parameter name="place">a "b" <c></atem:parameter>\n<atem:parameter name="seats">2</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|><|start|>assistant to=user<|message|>Done.',
    reasoning: "hm",
    text: "Done.",
    calls: [call("ring_bell", {}), call("book_table", { place: 'a "b" <c>', seats: 2 })],
  },
  {
    name: "whitespace between messages",
    format: "muse",
    output:
      '\n to=self<|message|>hm<|eom|>\n<|start|>assistant to=ring_bell<|message|>\n<atem:function_calls>\n<atem:invoke name="ring_bell">\n</atem:invoke>\n</atem:function_calls>\n<|eom|>\n<|start|>assistant  to=user<|message|>Done.',
    reasoning: "hm",
    text: "Done.",
    calls: [call("ring_bell", {})],
  },
  {
    name: "text that begins like a header",
    format: "muse",
    output: " to=5 is meant",
    text: "to=5 is meant",
  },
  {
    name: "whitespace before the first name",
    format: "functionary-3.2",
    output: "\n all\nHi>>>\nring_bell\n{}",
    text: "Hi",
    calls: [call("ring_bell", {})],
  },
  {
    name: "text, then calls",
    format: "functionary-3.2",
    output: 'all\nOne moment.>>>ring_bell\n{}>>>book_table\n{"place": "x >>> y"}',
    text: "One moment.",
    calls: [call("ring_bell", {}), call("book_table", { place: "x >>> y" })],
  },
  {
    name: "the separator in text",
    format: "functionary-3.2",
    output: "all\n>>> 1 + 1\n2\n>>> exit",
    text: ">>> 1 + 1\n2\n>>> exit",
  },
  {
    name: "text without a recipient",
    format: "functionary-3.2",
    output: "Hello there\nand more",
    text: "Hello there\nand more",
  },
];

testReadings("messages with headers", cases);
