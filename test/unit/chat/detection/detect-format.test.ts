import { expect, test } from "bun:test";
import { ChatTemplate } from "../../../../src/chat/chat-template.ts";
import {
  detectFormat,
  type DetectedFormat,
  type DetectionInput,
} from "../../../../src/chat/detection/detect-format.ts";
import { FormatDetector } from "../../../../src/chat/detection/format-detector.ts";
import { LmError } from "../../../../src/lib/errors.ts";

const NOW = new Date(2024, 0, 1);

function inputOf(source: string, more: Partial<DetectionInput> = {}): DetectionInput {
  const template = new ChatTemplate(source);
  return {
    source,
    render: async (messages, options) =>
      template.renderChat({ messages, options, bosText: "", eosText: "" }, NOW),
    singleTokens: new Set(),
    ...more,
  };
}

/** A template whose assistant turns are written by `calls`, a loop body over `c`. */
const templateOf = (calls: string, before = ""): string =>
  "{% if tools %}{{ tools | tojson }}{% endif %}" +
  "{% for m in messages %}<|{{ m.role }}|>{{ m.content if m.content else '' }}" +
  `{% if m.tool_calls %}${before}{% for t in m.tool_calls %}{% set c = t.function %}${calls}{% endfor %}` +
  "{% endif %}<|over|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

const JSON_CALL = '{"name": "{{ c.name }}", "arguments": {{ c.arguments | tojson }}}';

interface Case {
  name: string;
  source: string;
  format: string;
  evidence: DetectedFormat["evidence"];
}

const cases: Case[] = [
  {
    name: "JSON in tags",
    source: templateOf(`<tool_call>\n${JSON_CALL}\n</tool_call>`),
    format: "hermes",
    evidence: "template",
  },
  {
    name: "names between markers",
    source: templateOf("[TOOL_CALLS]{{ c.name }}[ARGS]{{ c.arguments | tojson }}"),
    format: "mistral-v11",
    evidence: "template",
  },
  {
    name: "arguments in tags",
    source: templateOf(
      "<tool_call>\n<function={{ c.name }}>\n{% for k, v in c.arguments.items() %}" +
        "<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>",
    ),
    format: "qwen3-coder",
    evidence: "template",
  },
  {
    name: "keys and values on lines",
    source: templateOf(
      "<tool_call>{{ c.name }}\n{% for k, v in c.arguments.items() %}" +
        "<arg_key>{{ k }}</arg_key>\n<arg_value>{{ v }}</arg_value>\n{% endfor %}</tool_call>",
    ),
    format: "glm-4.5",
    evidence: "template",
  },
  {
    name: "keys and values without lines",
    source: templateOf(
      "<tool_call>{{ c.name }}{% for k, v in c.arguments.items() %}" +
        "<arg_key>{{ k }}</arg_key><arg_value>{{ v }}</arg_value>{% endfor %}</tool_call>",
    ),
    format: "glm-4.7",
    evidence: "template",
  },
  {
    name: "a bare object",
    source: templateOf('{"name": "{{ c.name }}", "parameters": {{ c.arguments | tojson }}}'),
    format: "llama-3",
    evidence: "template",
  },
  {
    name: "JSON in tags, in a family that another format names",
    source: `{# start_of_role #}${templateOf(`<tool_call>\n${JSON_CALL}\n</tool_call>`)}`,
    format: "hermes",
    evidence: "template",
  },
  {
    name: "JSON in tags, text in tags of its own",
    source: `{# <response> #}${templateOf(`<tool_call>\n${JSON_CALL}\n</tool_call>\n`)}`,
    format: "ernie-4.5",
    evidence: "template",
  },
  {
    name: "JSON behind two control tokens",
    source: templateOf(
      '<|action_start|><|plugin|>\n{"name": "{{ c.name }}", "parameters": {{ c.arguments | tojson }}}<|action_end|>',
    ),
    format: "internlm-2",
    evidence: "template",
  },
  {
    name: "calls that are only spoken of",
    source:
      "{% if tools %}<|plugin|>{{ tools | tojson }}{% endif %}{% for m in messages %}" +
      "{{ m.role }}: {{ m.content }}\n{% endfor %}",
    format: "internlm-2",
    evidence: "source",
  },
  {
    name: "no tools at all",
    source: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
    format: "tool-request",
    evidence: "none",
  },
];

test.each(cases)("a template shows its format: $name", async ({ source, format, evidence }) => {
  const detected = await detectFormat(inputOf(source));
  expect({ format: detected.format.name, evidence: detected.evidence }).toEqual({
    format,
    evidence,
  });
});

test("a template that always refuses gets the fallback", async () => {
  const source = "{{ raise_exception('no') }}";
  const render = (): Promise<string> => Promise.reject(new Error("no"));
  const detected = await detectFormat({ source, render, singleTokens: new Set() });
  expect(detected.format.name).toBe("tool-request");
  expect(detected.reasoning).toBeNull();
});

test("a format's own reasoning counts before any tags in the template", async () => {
  const input = inputOf("{# <|channel|>commentary <think></think> #}");
  expect((await detectFormat(input)).reasoning?.start).toBe("<|channel|>analysis<|message|>");
});

test("a template is looked at once per vocabulary", async () => {
  let renders = 0;
  const source = templateOf(JSON_CALL);
  const { render } = inputOf(source);
  const input: DetectionInput = {
    source,
    render: (messages, options) => {
      renders += 1;
      return render(messages, options);
    },
    singleTokens: new Set(),
  };
  const detector = new FormatDetector();
  const first = await detector.detect(input);
  const once = renders;
  expect(await detector.detect(input)).toBe(first);
  expect(renders).toBe(once);
  await detector.detect({ ...input, singleTokens: new Set(["<think>"]) });
  expect(renders).toBe(2 * once);
});

test("a render for which the machine had no time is no refusal, and is not remembered", async () => {
  const source = templateOf(JSON_CALL);
  const detector = new FormatDetector();
  const busy = new LmError("overloaded", { retryAfterMs: 1 }, "The machine is too busy.");
  const input = inputOf(source, { render: () => Promise.reject(busy) });
  expect(await detector.detect(input).catch((error: unknown) => error)).toBe(busy);
  expect((await detector.detect(inputOf(source))).evidence).toBe("template");
});
