import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ChatTemplate } from "../../../src/chat/chat-template.ts";
import { CHATML_TEMPLATE } from "../../../src/chat/chat-templates.ts";
import {
  type ChatOptions,
  DEFAULT_CHAT_OPTIONS,
  type Message,
  type MessageRole,
  type Tool,
} from "../../../src/chat/conversation.ts";
import { sharedPath } from "../../support/shared.ts";

const NOW = new Date(2026, 10, 3, 9);

const message = (role: MessageRole, text: string | null, more: Partial<Message> = {}): Message => ({
  role,
  content: text === null ? null : [{ type: "text", text }],
  reasoning: null,
  toolCalls: [],
  toolCallId: null,
  name: null,
  ...more,
});
const call = (id: string, name: string, args: string) => ({ id, name, arguments: args });
const weather: Tool = {
  name: "get_weather",
  description: "The weather",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  strict: false,
};

function prompt(
  source: string,
  messages: readonly Message[],
  options: Partial<ChatOptions> = {},
): string {
  return new ChatTemplate(source).renderChat(
    { messages, options: { ...DEFAULT_CHAT_OPTIONS, ...options }, bosText: "<s>", eosText: "</s>" },
    NOW,
  );
}

const auto = { kind: "auto", allowed: null } as const;
const LINES = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
/** Refuses a system role, and two turns of one role in a row. */
const STRICT = `{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.role }}: {{ m.content }}
{% endfor %}`;
/** Counts the turns of user and assistant, calls and results aside, as Mistral's templates do. */
const counting = (refusal: string): string =>
  `{% set ns = namespace(n=0) %}{% for m in messages %}{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}{% if (m.role == 'user') != (ns.n % 2 == 0) ${refusal} %}{{ raise_exception('roles must alternate') }}{% endif %}{% set ns.n = ns.n + 1 %}{% endif %}{{ m.role[0] }}{{ m.content }}{% for c in m.tool_calls %}[{{ c.function.name }}{{ c.function.arguments|tojson }}]{% endfor %};{% endfor %}`;
const CALLS = `{% for m in messages %}{{ m.role }}{% if m.name %}({{ m.name }}){% endif %}: {{ m.content }}{% for c in m.tool_calls %}[{{ c.id }} {{ c.function.name }} {{ c.function.arguments|tojson }}]{% endfor %}{% if m.tool_call_id %}<{{ m.tool_call_id }}>{% endif %}{{ '\\n' }}{% endfor %}{% if tools %}TOOLS {{ tools|tojson }}{% endif %}`;

describe("messages are given to a template as it wants them", () => {
  test("ChatML, with the answer begun", () => {
    expect(prompt(CHATML_TEMPLATE, [message("system", "Be brief."), message("user", "Hi")])).toBe(
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("adjacent text parts are joined without a separator", () => {
    const parts: Message = message("user", null, {
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
    });
    expect(prompt(LINES, [parts])).toBe("user: ab\n");
  });

  test("a template that walks over parts gets parts", () => {
    const source =
      "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}";
    expect(prompt(source, [message("user", "Hi")])).toBe("Hi");
  });

  test("developer becomes system where the template does not know it", () => {
    expect(prompt(LINES, [message("developer", "D"), message("user", "U")])).toBe(
      "system: D\nuser: U\n",
    );
    const knows = `${LINES}{# developer #}`;
    expect(prompt(knows, [message("developer", "D"), message("user", "U")])).toBe(
      "developer: D\nuser: U\n",
    );
  });

  test("without a system role its text opens the user's turn", () => {
    expect(prompt(STRICT, [message("system", "S"), message("user", "U")])).toBe("user: S\n\nU\n");
  });

  test("several leading system messages are joined where only one is shown", () => {
    const one =
      "{{ messages[0].content }}|{% for m in messages[1:] if m.role != 'system' %}{{ m.content }}{% endfor %}";
    const system = [message("system", "A"), message("developer", "B")];
    expect(prompt(one, [...system, message("user", "U")])).toBe("A\n\nB|U");
    expect(prompt(LINES, [...system, message("user", "U")])).toBe(
      "system: A\nsystem: B\nuser: U\n",
    );
  });

  test("turns of one role are joined where roles must alternate", () => {
    const turns = [
      message("user", "A"),
      message("user", "B"),
      message("assistant", "C"),
      message("user", "D"),
    ];
    expect(prompt(STRICT, turns)).toBe("user: A\n\nB\nassistant: C\nuser: D\n");
  });

  test("absent content is an empty string, or left out where that is refused", () => {
    const turn = [
      message("user", "U"),
      message("assistant", null, { toolCalls: [call("x", "f", "{}")] }),
    ];
    expect(prompt(CALLS, turn)).toContain("assistant: [x f {}]");
    const picky =
      "{% for m in messages %}{% if m.content is defined and not m.content %}{{ raise_exception('empty') }}{% endif %}{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments|tojson }}{% endfor %}{% endfor %}";
    expect(prompt(picky, turn)).toBe("Uf{}");
  });
});

describe("tools", () => {
  test("a user may speak behind a result where roles must alternate", () => {
    const said = [
      message("user", "U"),
      message("assistant", null, { toolCalls: [call("x", "f", "{}")] }),
      message("tool", "R", { toolCallId: "x" }),
      message("user", "V"),
    ];
    expect(prompt(counting(""), said)).toBe("uU;a[f{}];tR;a;uV;");
    const demandsText = "or (m.role == 'assistant' and m.content == '')";
    expect(prompt(counting(demandsText), said)).toBe("uU;a[f{}];tR;a ;uV;");
    expect(prompt(counting("and false"), said)).toBe("uU;a[f{}];tR;uV;");
  });

  const history = [
    message("user", "U"),
    message("assistant", null, {
      toolCalls: [
        call("call_1", "get_weather", '{"city": "Rome", "t": 2.0}'),
        call("call_2", "b", ""),
      ],
    }),
    message("tool", "sunny", { toolCallId: "call_1" }),
    message("tool", "ok", { toolCallId: "call_2" }),
  ];

  test("arguments are objects, results carry the function's name, tools are left out when none", () => {
    expect(prompt(CALLS, history)).toBe(
      'user: U\nassistant: [call_1 get_weather {"city": "Rome", "t": 2.0}][call_2 b {}]\n' +
        "tool(get_weather): sunny<call_1>\ntool(b): ok<call_2>\n",
    );
    expect(prompt(CALLS, history, { tools: [weather] })).not.toContain("TOOLS");
    expect(prompt(CALLS, history, { tools: [weather], toolChoice: auto })).toContain(
      'TOOLS [{"type": "function"',
    );
  });

  test("arguments are text where the template prints them as they are", () => {
    const source =
      "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name + c.function.arguments }}{% endfor %}{% endfor %}";
    const spaced = [
      message("user", "U"),
      message("assistant", null, { toolCalls: [call("x", "f", '{ "a":1}')] }),
    ];
    expect(prompt(source, spaced)).toBe('Uf{ "a":1}');
  });

  test("arguments that are no JSON stay text and are no error", () => {
    const broken = [
      message("user", "U"),
      message("assistant", null, { toolCalls: [call("x", "f", "{oops")] }),
    ];
    expect(prompt(CALLS, broken)).toContain('[x f "{oops"]');
  });

  test("arguments that are no object are wrapped where the template walks over them", () => {
    const source =
      "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls %}{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}){% endfor %}{% endfor %}";
    const turn = (args: string): Message[] => [
      message("user", "U"),
      message("assistant", null, { toolCalls: [call("x", "f", args)] }),
    ];
    expect(prompt(source, turn('{"a": 1}'))).toBe("Uf(a=1)");
    expect(prompt(source, turn("{oops"))).toBe("Uf(arguments={oops)");
    expect(prompt(source, turn("[1]"))).toBe("Uf(arguments=[1])");
  });

  test("a template of one call per turn gets a turn for each", () => {
    const single = CALLS.replace(
      "{% for c in",
      "{% if m.tool_calls|length > 1 %}{{ raise_exception('one') }}{% endif %}{% for c in",
    );
    expect(prompt(single, history)).toBe(
      'user: U\nassistant: [call_1 get_weather {"city": "Rome", "t": 2.0}]\ntool(get_weather): sunny<call_1>\n' +
        "assistant: [call_2 b {}]\ntool(b): ok<call_2>\n",
    );
  });

  test("ids are nine letters or digits where the template demands it, the same each time", () => {
    const source = CALLS.replace(
      "[{{ c.id }}",
      "{% if c.id|length != 9 %}{{ raise_exception('id') }}{% endif %}[{{ c.id }}",
    );
    const text = prompt(source, history);
    const ids = [...text.matchAll(/\[(\w{9}) /g)].map((match) => match[1]);
    expect(new Set(ids).size).toBe(2);
    expect([...text.matchAll(/<(\w+)>/g)].map((match) => match[1])).toEqual(ids);
    expect(prompt(source, history)).toBe(text);
  });

  test("ids name function and place where the model learnt them so", () => {
    const source = `${CALLS}{# <|tool_call_begin|> <|tool_call_argument_begin|> #}`;
    const text = prompt(source, history);
    expect(text).toContain("[functions.get_weather:0 get_weather");
    expect(text).toContain("ok<functions.b:1>");
  });

  test("a template without tools gets instructions, calls as text and results as user turns", () => {
    const text = prompt(STRICT, history, { tools: [weather], toolChoice: auto });
    expect(text).toContain('"name":"get_weather"');
    expect(text).toContain(
      '[TOOL_REQUEST]{"name": "get_weather", "arguments": {"city": "Rome", "t": 2.0}}[END_TOOL_REQUEST]',
    );
    expect(text).toContain("[TOOL_RESULT] get_weather\nsunny");
    expect(prompt(STRICT, history.slice(0, 1), { tools: [weather] })).toBe("user: U\n");
  });
});

describe("thinking", () => {
  const user = [message("user", "U")];
  const flags =
    "{{ enable_thinking }}/{{ thinking }}/{{ thinking_mode }}/{{ reasoning_effort }}{{ messages[0].content }}";

  test.each([
    { name: "nothing is said by default", options: {}, text: "///U" },
    { name: "on", options: { enableThinking: true }, text: "True/True/enabled/U" },
    { name: "off", options: { enableThinking: false }, text: "False/False/disabled/lowU" },
    {
      name: "effort none is off",
      options: { reasoningEffort: "none" as const },
      text: "False/False/disabled/lowU",
    },
    {
      name: "an effort is on",
      options: { reasoningEffort: "medium" as const },
      text: "True/True/enabled/mediumU",
    },
    {
      name: "more than the template knows is its most",
      options: { reasoningEffort: "max" as const },
      text: "True/True/enabled/highU",
    },
    {
      name: "less is its least",
      options: { reasoningEffort: "minimal" as const },
      text: "True/True/enabled/lowU",
    },
    {
      name: "kwargs win",
      options: { enableThinking: true, templateKwargs: { enable_thinking: false } },
      text: "False/False/disabled/lowU",
    },
  ])("$name", ({ options, text }) => {
    expect(prompt(flags, user, options)).toBe(text);
  });

  test("a word in the system message switches families that read it there", () => {
    const source = `${LINES}{# /no_think #}`;
    expect(prompt(source, user, { enableThinking: false })).toBe("system: /no_think\nuser: U\n");
    expect(prompt(source, user)).toBe("user: U\n");
  });

  test("earlier thinking stands under every key that families read", () => {
    const turn = message("assistant", "A", { reasoning: "because" });
    const keys =
      "{% for m in messages %}{{ m.content }}{{ m.reasoning_content }}{{ m.reasoning }}{{ m.thinking }}{% endfor %}";
    expect(prompt(keys, [...user, turn])).toBe("UAbecausebecausebecause");
  });
});

describe("a continued answer", () => {
  const begun = [message("user", "U"), message("assistant", "The answer is ")];
  test("ends where its text ends", () => {
    expect(
      prompt(CHATML_TEMPLATE, begun, { continueFinalMessage: true, addGenerationPrompt: false }),
    ).toBe("<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\nThe answer is ");
  });
  test("stands behind the opening of a template that hides it", () => {
    const source =
      "{% for m in messages if m.role == 'user' %}U:{{ m.content }} {% endfor %}{% if add_generation_prompt %}A:{% endif %}";
    expect(prompt(source, begun, { continueFinalMessage: true })).toBe("U:U A:The answer is ");
  });
  test("is history when it is not asked to be continued", () => {
    expect(prompt(CHATML_TEMPLATE, begun)).toEndWith(
      "The answer is <|im_end|>\n<|im_start|>assistant\n",
    );
  });
});

test("a longer conversation begins with the prompt of the shorter one", () => {
  const turns = [message("user", "A"), message("assistant", "B"), message("user", "C")];
  const short = prompt(CHATML_TEMPLATE, turns.slice(0, 1), { addGenerationPrompt: false });
  expect(prompt(CHATML_TEMPLATE, turns)).toStartWith(short);
});

type Entry = { file: string; generation_prompt: { thinking_on: string; thinking_off: string } };
const folder = sharedPath("templates");

/** The reference prompts were made with one switch only; these families have a better one. */
const BETTER_SWITCH: ReadonlyMap<string, { on?: string; off?: string }> = new Map([
  ["ByteDance-Seed-OSS.jinja", { off: "</seed:think>" }],
  ["MiniMax-M3.jinja", { on: "<mm:think>", off: "</mm:think>" }],
  ["Cohere2MoE.jinja", { off: "<|START_THINKING|><|END_THINKING|>" }],
]);

test.skipIf(folder === null)(
  "thinking on and off end the prompt as each family's reference says",
  () => {
    const manifest = JSON.parse(readFileSync(join(folder ?? "", "manifest.json"), "utf8")) as {
      entries: Entry[];
    };
    const turns = [message("system", "S"), message("user", "U")];
    for (const { file, generation_prompt: wanted } of manifest.entries) {
      const source = readFileSync(join(folder ?? "", file), "utf8");
      const better = BETTER_SWITCH.get(file);
      const on = prompt(source, turns, { enableThinking: true });
      const off = prompt(source, turns, { enableThinking: false });
      expect({ file, isOn: on.endsWith(better?.on ?? wanted.thinking_on) }).toEqual({
        file,
        isOn: true,
      });
      expect({ file, isOff: off.endsWith(better?.off ?? wanted.thinking_off) }).toEqual({
        file,
        isOff: true,
      });
    }
  },
);

test.skipIf(folder === null)(
  "every family's template takes a whole conversation with tools",
  () => {
    const manifest = JSON.parse(readFileSync(join(folder ?? "", "manifest.json"), "utf8")) as {
      entries: Entry[];
    };
    const turns = [
      message("system", "S"),
      message("user", "U"),
      message("assistant", null, {
        reasoning: "why",
        toolCalls: [
          call("call_1", "get_weather", '{"city":"Rome"}'),
          call("call_2", "get_weather", '{"city":"Oslo"}'),
        ],
      }),
      message("tool", "sunny", { toolCallId: "call_1" }),
      message("tool", "rainy", { toolCallId: "call_2" }),
      message("assistant", "Sunny and rainy."),
      message("user", "Thanks"),
    ];
    const missing = manifest.entries.flatMap(({ file }) => {
      const source = readFileSync(join(folder ?? "", file), "utf8");
      const text = prompt(source, turns, { tools: [weather], toolChoice: auto });
      const parts = ["get_weather", "Rome", "Oslo", "sunny", "rainy", "Sunny and rainy.", "Thanks"];
      return parts.filter((part) => !text.includes(part)).map((part) => `${file}: ${part}`);
    });
    expect(missing).toEqual([]);
  },
);
