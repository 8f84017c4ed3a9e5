import { call, type ParseCase, testReadings } from "../../../support/parse.ts";

const cases: readonly ParseCase[] = [
  {
    name: "Python calls",
    format: "lfm-2",
    output:
      'Hm.<|tool_call_start|>[book_table(place="Rome", seats=2), ring_bell()]<|tool_call_end|>',
    text: "Hm.",
    calls: [call("book_table", { place: "Rome", seats: 2 }), call("ring_bell", {})],
  },
  {
    name: "Python and JSON literals",
    format: "lfm-2",
    output:
      '<|tool_call_start|>[plan_trip(stops=["a", \'b\\n\'], budget=None, guided=True, code=-1.5e3, route={"legs": [{\'by\': "\\u00e9", }]})]<|tool_call_end|>',
    calls: [
      call("plan_trip", {
        stops: ["a", "b\n"],
        budget: null,
        guided: true,
        code: -1500,
        route: { legs: [{ by: "é" }] },
      }),
    ],
  },
  {
    name: "unescaped quotes in a string",
    format: "lfm-2",
    output: "<|tool_call_start|>[book_table(place='it's \"here\"', seats=3)]<|tool_call_end|>",
    calls: [call("book_table", { place: 'it\'s "here"', seats: 3 })],
  },
  {
    name: "three quotes",
    format: "lfm-2",
    output: '<|tool_call_start|>[book_table(place="""a "b"\nc""")]<|tool_call_end|>',
    calls: [call("book_table", { place: 'a "b"\nc' })],
  },
  {
    name: "values without keys",
    format: "lfm-2",
    output: '<|tool_call_start|>[book_table("Rome", 2)]<|tool_call_end|>',
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "declared names that are no words",
    format: "lfm-2",
    output: '<|tool_call_start|>[send(user.name="bob", content type="x", n=3)]<|tool_call_end|>',
    options: {
      tools: [
        {
          name: "send",
          parameters: {
            type: "object",
            properties: {
              "user.name": { type: "string" },
              "content type": { type: "string" },
              n: { type: "integer" },
            },
          },
        },
      ],
    },
    calls: [call("send", { "user.name": "bob", "content type": "x", n: 3 })],
  },
  {
    name: "JSON between the markers",
    format: "lfm-2",
    output: '<|tool_call_start|>[{"name": "ring_bell", "arguments": {}}]<|tool_call_end|>',
    calls: [call("ring_bell", {})],
  },
  {
    name: "an unknown function is text",
    format: "lfm-2",
    output: "<|tool_call_start|>[fly()]<|tool_call_end|>",
    text: "<|tool_call_start|>[fly()]<|tool_call_end|>",
  },
  {
    name: "one call a line",
    format: "olmo-3",
    output: '<function_calls>\nbook_table(place="Rome")\nring_bell()\n</function_calls>',
    calls: [call("book_table", { place: "Rome" }), call("ring_bell", {})],
  },
  {
    name: "bare keys and marked strings",
    format: "gemma-4",
    output:
      'Ok<|tool_call>call:plan_trip{budget:null,guided:true,route:{legs:[{by:<|"|>x,y}<|"|>}]},stops:[<|"|>a<|"|>,<|"|>b<|"|>]}<tool_call|><|tool_call>call:ring_bell{}<tool_call|>',
    text: "Ok",
    calls: [
      call("plan_trip", {
        budget: null,
        guided: true,
        route: { legs: [{ by: "x,y}" }] },
        stops: ["a", "b"],
      }),
      call("ring_bell", {}),
    ],
  },
  {
    name: "strings without marks",
    format: "gemma-4",
    output: "<|tool_call>call:book_table{place:Rome is,seats:3}<tool_call|>",
    calls: [call("book_table", { place: "Rome is", seats: 3 })],
  },
  {
    name: "marked keys",
    format: "gemma-4",
    output: '<|tool_call>call:book_table{<|"|>place<|"|>:<|"|>a "b"<|"|>}<tool_call|>',
    calls: [call("book_table", { place: 'a "b"' })],
  },
  {
    name: "another mark",
    format: "function-gemma",
    output:
      "<start_function_call>call:book_table{place:<escape>Rome<escape>,seats:2}<end_function_call>",
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
];

testReadings("notations of their own", cases);
