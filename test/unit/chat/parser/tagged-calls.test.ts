import { call, type ParseCase, testReadings } from "../../../support/parse.ts";

const M3 = "]<]minimax[>[";
const element = (name: string, value: string): string => `${M3}<${name}>${value}${M3}</${name}>`;
const m3Call = (inside: string): string =>
  `${M3}<tool_call>\n${M3}<invoke name="fn">${inside}${M3}</invoke>\n${M3}</tool_call>`;
const toolOf = (properties: object) => ({
  name: "fn",
  parameters: { type: "object", properties },
});

const cases: readonly ParseCase[] = [
  {
    name: "strings and numbers",
    format: "qwen3-coder",
    output:
      "<tool_call>\n<function=book_table>\n<parameter=place>\nRome\n</parameter>\n<parameter=seats>\n2\n</parameter>\n</function>\n</tool_call>",
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "no arguments",
    format: "qwen3-coder",
    output: "<tool_call>\n<function=ring_bell>\n</function>\n</tool_call>",
    calls: [call("ring_bell", {})],
  },
  {
    name: "every type, JSON and Python",
    format: "qwen3-coder",
    output:
      'So.\n\n<tool_call>\n<function=plan_trip>\n<parameter=stops>\n["a", "b"]\n</parameter>\n<parameter=budget>\nNone\n</parameter>\n<parameter=code>\n5\n</parameter>\n<parameter=guided>\nTrue\n</parameter>\n<parameter=route>\n{\'legs\': [{\'by\': "it\'s"}]}\n</parameter>\n</function>\n</tool_call>',
    text: "So.",
    calls: [
      call("plan_trip", {
        stops: ["a", "b"],
        budget: null,
        code: 5,
        guided: true,
        route: { legs: [{ by: "it's" }] },
      }),
    ],
  },
  {
    name: "one newline on each side is dropped, no more",
    format: "qwen3-coder",
    output:
      "<tool_call>\n<function=book_table>\n<parameter=place>\nline\n\n  two </p> <parameter=x>\n\n</parameter>\n</function>\n</tool_call>",
    calls: [call("book_table", { place: "line\n\n  two </p> <parameter=x>\n" })],
  },
  {
    name: "a string that looks like a number",
    format: "qwen3-coder",
    output:
      "<tool_call>\n<function=book_table>\n<parameter=place>\n007\n</parameter>\n</function>\n</tool_call>",
    calls: [call("book_table", { place: "007" })],
  },
  {
    name: "without the outer opening tag",
    format: "qwen3-coder",
    output:
      "<function=ring_bell>\n</function>\n</tool_call>\n<tool_call>\n<function=ring_bell>\n</function>\n</tool_call>",
    calls: [call("ring_bell", {}), call("ring_bell", {})],
  },
  {
    name: "JSON between the tags",
    format: "qwen3-coder",
    output: '<tool_call>\n{"name": "ring_bell", "arguments": {}}\n</tool_call>',
    calls: [call("ring_bell", {})],
  },
  {
    name: "talk about tags is text",
    format: "qwen3-coder",
    output: "Use <function=fly> or <tool_call>.",
    text: "Use <function=fly> or <tool_call>.",
  },
  {
    name: "values on the same line",
    format: "seed-oss",
    output:
      "<seed:tool_call>\n<function=plan_trip>\n<parameter=stops>[\"x\"]</parameter>\n<parameter=guided>False</parameter>\n<parameter=route>{'legs': []}</parameter>\n</function>\n</seed:tool_call>",
    calls: [call("plan_trip", { stops: ["x"], guided: false, route: { legs: [] } })],
  },
  {
    name: "keys and values in tags of their own",
    format: "glm-4.5",
    output:
      '\n<tool_call>book_table\n<arg_key>place</arg_key>\n<arg_value>Rome "x" \\ y</arg_value>\n<arg_key>seats</arg_key>\n<arg_value>2</arg_value>\n</tool_call>\n<tool_call>ring_bell\n</tool_call>',
    calls: [call("book_table", { place: 'Rome "x" \\ y', seats: 2 }), call("ring_bell", {})],
  },
  {
    name: "the same without newlines",
    format: "glm-4.7",
    output:
      "Fine.<tool_call>ring_bell</tool_call><tool_call>book_table<arg_key>place</arg_key><arg_value>two\nlines</arg_value></tool_call>",
    text: "Fine.",
    calls: [call("ring_bell", {}), call("book_table", { place: "two\nlines" })],
  },
  {
    name: "a wrong type stays a string",
    format: "glm-4.7",
    output: "<tool_call>book_table<arg_key>seats</arg_key><arg_value>two</arg_value></tool_call>",
    calls: [call("book_table", { seats: "two" })],
  },
  {
    name: "an undeclared key is JSON where it can be",
    format: "glm-4.7",
    output:
      "<tool_call>ring_bell<arg_key>a</arg_key><arg_value>[1]</arg_value><arg_key>b</arg_key><arg_value>x y</arg_value></tool_call>",
    calls: [call("ring_bell", { a: [1], b: "x y" })],
  },
  {
    name: "a text stop ends the answer",
    format: "laguna",
    output: "Done.</assistant>\nnoise",
    text: "Done.",
  },
  {
    name: "a section of calls",
    format: "hunyuan-3",
    output:
      "<tool_calls:opensource>\n<tool_call:opensource>ring_bell<tool_sep:opensource>\n</tool_call:opensource>\n<tool_call:opensource>book_table<tool_sep:opensource>\n<arg_key:opensource>place</arg_key:opensource>\n<arg_value:opensource>Rome</arg_value:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>",
    calls: [call("ring_bell", {}), call("book_table", { place: "Rome" })],
  },
  {
    name: "names in attributes",
    format: "minimax-m2",
    output:
      'Ok\n<minimax:tool_call>\n<invoke name="book_table">\n<parameter name="place">a "b" <c>\nd</parameter>\n<parameter name="seats">3</parameter>\n</invoke>\n<invoke name="ring_bell">\n</invoke>\n</minimax:tool_call>\n',
    text: "Ok",
    calls: [call("book_table", { place: 'a "b" <c>\nd', seats: 3 }), call("ring_bell", {})],
  },
  {
    name: "types in attributes",
    format: "deepseek-v4",
    output:
      '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="plan_trip">\n<｜DSML｜parameter name="code" string="true">5</｜DSML｜parameter>\n<｜DSML｜parameter name="budget" string="false">null</｜DSML｜parameter>\n<｜DSML｜parameter name="stops" string="false">["a"]</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',
    calls: [call("plan_trip", { code: "5", budget: null, stops: ["a"] })],
  },
  {
    name: "an empty line for no arguments",
    format: "deepseek-v3.2",
    output:
      '<｜DSML｜function_calls>\n<｜DSML｜invoke name="ring_bell">\n\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    calls: [call("ring_bell", {})],
  },
  {
    name: "entities in attributes",
    format: "kimi-k3",
    output:
      '<|open|>tools<|sep|><|open|>call tool="book_table" index="1"<|sep|><|open|>argument key="pla&quot;ce" type="string"<|sep|>3<|close|>argument<|sep|><|open|>argument key="seats" type="number"<|sep|>3<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|>',
    calls: [call("book_table", { 'pla"ce': "3", seats: 3 })],
  },
  {
    name: "all arguments as one JSON block",
    format: "kimi-k3",
    output:
      '<|open|>tools<|sep|><|open|>call tool="book_table" index="1"<|sep|><|open|>json type="object"<|sep|>{"place": "Rome", "seats": 2}<|close|>json<|sep|><|close|>call<|sep|><|close|>tools<|sep|>',
    calls: [call("book_table", { place: "Rome", seats: 2 })],
  },
  {
    name: "CDATA",
    format: "minicpm-5",
    output:
      '<function name="book_table"><param name="place"><![CDATA[a ]]> <b> & c]]></param><param name="seats">2</param></function>\n<function name="ring_bell"></function>',
    calls: [call("book_table", { place: "a ]]> <b> & c", seats: 2 }), call("ring_bell", {})],
  },
  {
    name: "nested elements by schema",
    format: "minimax-m3",
    output:
      'Ok]<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="ring_bell">]<]minimax[>[</invoke>\n]<]minimax[>[<invoke name="plan_trip">]<]minimax[>[<stops>]<]minimax[>[<item>a]<]minimax[>[</item>]<]minimax[>[<item>5]<]minimax[>[</item>]<]minimax[>[</stops>]<]minimax[>[<route>]<]minimax[>[<legs>]<]minimax[>[<item>]<]minimax[>[<by>true]<]minimax[>[</by>]<]minimax[>[</item>]<]minimax[>[</legs>]<]minimax[>[</route>]<]minimax[>[<budget>2.5]<]minimax[>[</budget>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>',
    text: "Ok",
    calls: [
      call("ring_bell", {}),
      call("plan_trip", { stops: ["a", "5"], route: { legs: [{ by: "true" }] }, budget: 2.5 }),
    ],
  },
  {
    name: "empty elements by schema",
    format: "minimax-m3",
    output:
      ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="plan_trip">]<]minimax[>[<stops>]<]minimax[>[</stops>]<]minimax[>[<route>]<]minimax[>[</route>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>',
    calls: [call("plan_trip", { stops: [], route: {} })],
  },
  {
    name: "elements whose declared names hold what ends a tag",
    format: "minimax-m3",
    output: m3Call(element("a>b", "42") + element("map", element("c>", "7"))),
    options: {
      tools: [
        toolOf({
          a: { type: "string" },
          "a>b": { type: "string" },
          map: { type: "object", properties: { "c>": { type: "string" } } },
        }),
      ],
    },
    calls: [call("fn", { "a>b": "42", map: { "c>": "7" } })],
  },
  {
    name: "elements named as items are, where the schema has such a property",
    format: "minimax-m3",
    output: m3Call(element("item", "42") + element("map", element("item", "7"))),
    options: {
      tools: [
        toolOf({
          item: { type: "string" },
          map: { type: ["array", "object"], properties: { item: { type: "string" } } },
        }),
      ],
    },
    calls: [call("fn", { item: "42", map: { item: "7" } })],
  },
  {
    name: "elements of a list by their places",
    format: "minimax-m3",
    output: m3Call(
      element(
        "list",
        element("item", "1") + element("item", element("constructor", "2")) + element("item", "3"),
      ),
    ),
    options: {
      tools: [
        toolOf({
          list: {
            type: "array",
            prefixItems: [
              { type: "string" },
              { type: "object", properties: { constructor: { type: "string" } } },
            ],
            items: { type: "integer" },
          },
        }),
      ],
    },
    calls: [call("fn", { list: ["1", { constructor: "2" }, 3] })],
  },
  {
    name: "an element whose closing tag is misspelt",
    format: "minimax-m3",
    output: m3Call(element("map", `${M3}<a>1${M3}</b>${element("c", "2")}`)),
    options: { tools: [toolOf({ map: { type: "object" } })] },
    calls: [call("fn", { map: { a: 1, c: 2 } })],
  },
  {
    name: "declared names that hold what ends others",
    format: "deepseek-v3.2",
    output:
      '<｜DSML｜function_calls>\n<｜DSML｜invoke name="fn">\n<｜DSML｜parameter name="a"b" string="true">1</｜DSML｜parameter>\n<｜DSML｜parameter name="a" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    options: { tools: [toolOf({ 'a"b': { type: "string" }, a: { type: "integer" } })] },
    calls: [call("fn", { 'a"b': "1", a: 2 })],
  },
  {
    name: "undeclared arguments by the patterns of their names, else by what holds for all others",
    format: "minimax-m2",
    output:
      '<minimax:tool_call>\n<invoke name="fn">\n<parameter name="s-a">1</parameter>\n<parameter name="n-a">2</parameter>\n<parameter name="b">3</parameter>\n<parameter name="k">4</parameter>\n</invoke>\n</minimax:tool_call>',
    options: {
      tools: [
        {
          name: "fn",
          parameters: {
            type: "object",
            properties: { k: true },
            patternProperties: { "^s-": { type: "string" }, "^n-": { type: "integer" } },
            additionalProperties: { type: "string" },
          },
        },
      ],
    },
    calls: [call("fn", { "s-a": "1", "n-a": 2, b: "3", k: 4 })],
  },
];

testReadings("arguments in tags", cases);
