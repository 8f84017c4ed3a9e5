import { describe, expect, test } from "bun:test";
import type { Tool } from "../../src/chat/conversation.ts";
import { findFormat, TOOL_FORMATS } from "../../src/chat/formats/format-table.ts";
import { GrammarBuilder } from "../../src/chat/grammar/gbnf.ts";
import { findGrammarProblem } from "../../src/chat/grammar/grammar-check.ts";
import { toolGrammar } from "../../src/chat/grammar/tool-grammar.ts";
import { wholeSection } from "../../src/chat/grammar/tool-section.ts";
import { defined } from "../../src/lib/assert.ts";
import { matched } from "../support/grammar-matcher.ts";
import { sharedPath } from "../support/shared.ts";

const tool = (name: string, parameters: Tool["parameters"]): Tool => ({
  name,
  description: null,
  parameters,
  strict: false,
});

const TOOLS = [
  tool("find", {
    type: "object",
    properties: {
      where: { type: "string" },
      unit: { enum: ["C", "F"] },
      days: { type: "integer", minimum: 1, maximum: 9 },
      near: { type: ["string", "null"] },
      options: {
        type: "object",
        properties: {
          deep: { type: "boolean" },
          tags: { type: "array", items: { type: "string" } },
        },
      },
    },
    required: ["where"],
  }),
  tool("now", null),
];

function grammarOf(name: string, tools: readonly Tool[] = TOOLS, parallel = true): string {
  const builder = new GrammarBuilder((message) => new Error(message));
  const format = defined(findFormat(name), name);
  const named = tools.map((value, index) => ({ tool: value, param: `tools[${index}]` }));
  return builder.text(wholeSection(toolGrammar(builder, format, named, parallel).starts));
}

interface Case {
  format: string;
  accepts: readonly string[];
  refuses: readonly string[];
}

const cases: readonly Case[] = [
  {
    format: "hermes",
    accepts: [
      '<tool_call>\n{"name": "find", "arguments": {"where": "a", "days": 9}}\n</tool_call>',
      '<tool_call>{"name":"now","arguments":{}}</tool_call>\n<tool_call>{"name":"find","arguments":{"where":"b"}}</tool_call>',
    ],
    refuses: [
      '<tool_call>{"name": "finder", "arguments": {"where": "a"}}</tool_call>',
      '<tool_call>{"name": "find", "arguments": {}}</tool_call>',
      '<tool_call>{"name": "find", "arguments": {"where": "a", "days": 10}}</tool_call>',
      '<tool_call>{"name": "now", "arguments": {"x": 1}}</tool_call>',
    ],
  },
  {
    format: "internlm-2",
    accepts: [
      '<|action_start|><|plugin|>{"name": "now", "parameters": {}}<|action_end|>',
      '<|action_start|> <|plugin|>\n{"name": "now", "parameters": {}}\n<|action_end|>',
    ],
    refuses: [
      '<|action_start|> <|plugin|>\n{"name": "now", "parameters": {}}\n</|action_start|> <|plugin|>',
    ],
  },
  {
    format: "tool-request",
    accepts: [
      '[TOOL_REQUEST]{"name": "now", "arguments": {}}[END_TOOL_REQUEST]',
      '<tool_call>{"name": "now", "arguments": {}}</tool_call>',
    ],
    refuses: ['[TOOL_REQUEST]{"name": "now", "arguments": {}}</tool_call>'],
  },
  {
    format: "llama-3",
    accepts: [
      '{"name": "now", "parameters": {}}',
      '<|python_tag|>{"type":"function","name":"now","parameters":{}}',
    ],
    refuses: [
      '{"name": "now"}',
      '{"name": "now", "parameters": {}}; {"name": "now", "parameters": {}}',
    ],
  },
  {
    format: "mistral-v13",
    accepts: ["[TOOL_CALLS]now[CALL_ID]a1B2c3D4e[ARGS]{}"],
    refuses: [
      "[TOOL_CALLS]now[CALL_ID]short[ARGS]{}",
      "[TOOL_CALLS]now[ARGS]{}",
      "[TOOL_CALLS]later[CALL_ID]a1B2c3D4e[ARGS]{}",
    ],
  },
  {
    format: "kimi-k2",
    accepts: [
      "<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
      "<|tool_call_begin|>functions.now:12<|tool_call_argument_begin|>{}<|tool_call_end|>",
    ],
    refuses: [
      "<|tool_calls_section_begin|><|tool_call_begin|>functions.now<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
    ],
  },
  {
    format: "qwen3-coder",
    accepts: [
      "<tool_call>\n<function=now>\n</function>\n</tool_call>",
      "<tool_call>\n<function=find>\n<parameter=where>\na </parameter <b>\n1\n</parameter>\n<parameter=unit>\nF\n</parameter>\n<parameter=near>\nnull\n</parameter>\n</function>\n</tool_call>",
      "<function=find>\n<parameter=where>\ntrue\n</parameter>\n<parameter=near>\nnearby\n</parameter>\n</function>\n</tool_call>",
    ],
    refuses: [
      "<tool_call>\n<function=find>\n<parameter=unit>\nC\n</parameter>\n</function>\n</tool_call>",
      "<tool_call>\n<function=find>\n<parameter=where>\nx\n</parameter>\n<parameter=unit>\nK\n</parameter>\n</function>\n</tool_call>",
      "<tool_call>\n<function=find>\n<parameter=where>\nx\n</parameter>\n<parameter=days>\nten\n</parameter>\n</function>\n</tool_call>",
      "<tool_call>\n<function=finds>\n<parameter=where>\nx\n</parameter>\n</function>\n</tool_call>",
    ],
  },
  {
    format: "glm-4.7",
    accepts: [
      "<tool_call>now</tool_call>",
      '<tool_call>find<arg_key>where</arg_key><arg_value>a<b</arg_value><arg_key>options</arg_key><arg_value>{"deep": true}</arg_value></tool_call>',
    ],
    refuses: ["<tool_call>find</tool_call>", "<tool_call>no</tool_call>"],
  },
  {
    format: "deepseek-v3.2",
    accepts: [
      '<｜DSML｜function_calls>\n<｜DSML｜invoke name="find">\n<｜DSML｜parameter name="where" string="true">5</｜DSML｜parameter>\n<｜DSML｜parameter name="near" string="false">null</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    ],
    refuses: [
      '<｜DSML｜function_calls>\n<｜DSML｜invoke name="find">\n<｜DSML｜parameter name="where" string="false">5</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    ],
  },
  {
    format: "minicpm-5",
    accepts: [
      '<function name="find"><param name="where">plain</param><param name="days">3</param></function>',
      '<function name="find"><param name="where"><![CDATA[a < b & c]]></param></function>',
    ],
    refuses: ['<function name="find"><param name="where">a < b</param></function>'],
  },
  {
    format: "lfm-2",
    accepts: [
      '<|tool_call_start|>[find(where="a\\"b", days=3, near=None, options={"deep": True, "tags": ["x"]}), now()]<|tool_call_end|>',
    ],
    refuses: [
      "<|tool_call_start|>[find()]<|tool_call_end|>",
      '<|tool_call_start|>[find(where="a", days=0)]<|tool_call_end|>',
      '<|tool_call_start|>[find(where="a", options={"deep": None})]<|tool_call_end|>',
    ],
  },
  {
    format: "gemma-4",
    accepts: [
      '<|tool_call>call:find{days:3,options:{deep:true,tags:[<|"|>x<|"|>]},unit:<|"|>C<|"|>,where:<|"|>a "quoted" b<|"|>}<tool_call|>',
      "<|tool_call>call:now{}<tool_call|>",
    ],
    refuses: [
      '<|tool_call>call:find{unit:<|"|>K<|"|>,where:<|"|>a<|"|>}<tool_call|>',
      "<|tool_call>call:find{}<tool_call|>",
    ],
  },
  {
    format: "minimax-m3",
    accepts: [
      ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="find">]<]minimax[>[<where>a]<]minimax[>[</where>]<]minimax[>[<options>]<]minimax[>[<tags>]<]minimax[>[<item>x]<]minimax[>[</item>]<]minimax[>[</tags>]<]minimax[>[</options>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>',
    ],
    refuses: [
      ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="find">]<]minimax[>[<days>3]<]minimax[>[</days>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>',
    ],
  },
  {
    format: "harmony",
    accepts: [
      "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}",
      " to=functions.now<|channel|>commentary json<|message|>{}",
    ],
    refuses: [
      "<|channel|>commentary to=functions.new<|message|>{}",
      "<|channel|>final<|message|>{}",
    ],
  },
  {
    format: "muse",
    accepts: [
      ' to=find<|message|><atem:function_calls>\n<atem:invoke name="find">\n<atem:parameter name="where">x</atem:parameter>\n</atem:invoke>\n</atem:function_calls>',
    ],
    refuses: [
      ' to=now<|message|><atem:function_calls>\n<atem:invoke name="find">\n<atem:parameter name="where">x</atem:parameter>\n</atem:invoke>\n</atem:function_calls>',
    ],
  },
];

test.each(cases as Case[])("calls of $format keep names, notation and schema", (row) => {
  const gbnf = grammarOf(row.format);
  expect(matched(gbnf, row.accepts)).toEqual([...row.accepts]);
  expect(matched(gbnf, row.refuses)).toEqual([]);
});

test("at most one call when calls may not be parallel", () => {
  const one = '<tool_call>{"name":"now","arguments":{}}</tool_call>';
  expect(matched(grammarOf("hermes", TOOLS, false), [one, one + one])).toEqual([one]);
});

describe("every format", () => {
  const noArguments = [
    null,
    {},
    { type: "object" },
    { type: "object", properties: {}, required: [] },
  ];
  test.each(TOOL_FORMATS.map(({ name }) => name))(
    "%s compiles, with and without arguments",
    (name) => {
      for (const parallel of [true, false]) {
        for (const parameters of noArguments) {
          const gbnf = grammarOf(name, [...TOOLS, tool("none.at:all/x-y", parameters)], parallel);
          expect(findGrammarProblem(gbnf)).toBeNull();
          expect(matched(gbnf, ["no call", ""])).toEqual([]);
        }
      }
    },
  );
});

test("a tool named like something else in the grammar stays a name", () => {
  const names = ["root", "value", 'a"b', "x|y", "ws"];
  const gbnf = grammarOf(
    "hermes",
    names.map((name) => tool(name, {})),
  );
  const calls = names.map(
    (name) => `<tool_call>${JSON.stringify({ name, arguments: {} })}</tool_call>`,
  );
  expect(matched(gbnf, calls)).toEqual(calls);
});

/** The formats of the reference samples, by the names used there. */
const SAMPLE_FORMATS: Readonly<Record<string, string>> = {
  hermes_json: "hermes",
  qwen3_coder_xml: "qwen3-coder",
  seed_xml: "seed-oss",
  glm_argkey_nl: "glm-4.5",
  glm_argkey_tight: "glm-4.7",
  hy3_argkey: "hunyuan-3",
  minimax_m1_jsonl: "minimax-m1",
  minimax_m2_xml: "minimax-m2",
  minimax_m3_xml: "minimax-m3",
  deepseek_r1_fenced: "deepseek-r1",
  deepseek_v31: "deepseek-v3.1",
  dsml_function_calls: "deepseek-v3.2",
  dsml_tool_calls: "deepseek-v4",
  kimi_k2: "kimi-k2",
  kimi_k3_xtml: "kimi-k3",
  mistral_json_array: "mistral-v3",
  mistral_v13: "mistral-v13",
  mistral_v11: "mistral-v11",
  llama3_json: "llama-3",
  llama4_json: "llama-4",
  functionary_v31: "functionary-3.1",
  functionary_v32: "functionary-3.2",
  firefunction_json_array: "firefunction",
  command_r_action_md: "command-r-plus",
  cohere_action_json: "cohere",
  granite33_json_array: "granite-3",
  name_as_key_array: "apertus",
  apriel_json_array: "apriel",
  nemotron_toolcall_array: "nemotron-v2",
  harmony: "harmony",
  atem_xml: "muse",
  gemma4_dict: "gemma-4",
  lfm2_pythonic: "lfm-2",
  gigachat3_json: "gigachat-3",
  gigachat31_json: "gigachat-3.1",
  minicpm5_xml: "minicpm-5",
  solar_tokens: "solar-open",
  phi4mini_json: "phi-4-mini",
};

interface Manifest {
  tools: { function: { name: string; parameters: Tool["parameters"] } }[];
  entries: {
    family: string;
    tool_format: string;
    samples: {
      name: string;
      output: string;
      variant?: boolean;
      expect: { tool_calls: unknown[] };
    }[];
  }[];
}

const manifestPath = sharedPath("templates/manifest.json");
test.skipIf(manifestPath === null)(
  "every native sample is accepted, no misspelt name is",
  async () => {
    const manifest: Manifest = await Bun.file(manifestPath ?? "").json();
    const tools = manifest.tools.map(({ function: { name, parameters } }) =>
      tool(name, parameters),
    );
    const names = tools.map(({ name }) => name);
    const grammars = new Map<string, string>();
    const wrong: string[] = [];
    let accepted = 0;
    for (const { family, tool_format: kind, samples } of manifest.entries) {
      const format = findFormat(SAMPLE_FORMATS[kind] ?? "");
      for (const { name, output, variant = false, expect: expected } of samples) {
        if (expected.tool_calls.length === 0 || variant || format === null) continue;
        const gbnf = grammars.get(format.name) ?? grammarOf(format.name, tools);
        grammars.set(format.name, gbnf);
        const starts = {
          channels: ["<|channel|>commentary to="],
          recipients: names.map((value) => `${value}\n`),
          bareJson: ['{"name"', ...format.openers],
          tagged: format.openers.length > 0 ? format.openers : names.map((value) => ` to=${value}`),
        };
        const openers =
          format.kind in starts ? starts[format.kind as keyof typeof starts] : format.openers;
        const found = openers.map((opener) => output.indexOf(opener)).filter((at) => at >= 0);
        const text = output
          .slice(Math.min(...found))
          .replace("<|close|>message<|sep|>", "")
          .trimEnd();
        if (matched(gbnf, [text]).length === 1) accepted += 1;
        else wrong.push(`${family} ${name}: refused ${text}`);
        const misspelt = text
          .replaceAll(names[0] ?? "", `${names[0]}s`)
          .replaceAll(names[1] ?? "", `${names[1]}s`);
        if (matched(gbnf, [misspelt]).length === 1)
          wrong.push(`${family} ${name}: accepts ${misspelt}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(accepted).toBeGreaterThan(150);
  },
);
