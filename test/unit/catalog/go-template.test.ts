import { expect, test } from "bun:test";
import { jinjaOfGo } from "../../../src/catalog/go-template/jinja-of-go.ts";
import { compileTemplate } from "../../../src/chat/jinja/template.ts";

const system = { role: "system", content: "Be kind." };
const hi = { role: "user", content: "Hi" };
const hello = { role: "assistant", content: "Hello" };
const bye = { role: "user", content: "Bye" };

/** What a conversation becomes. */
function render(source: string, messages: readonly object[], more: object = {}): string {
  const jinja = jinjaOfGo(source);
  if (jinja === null) throw new Error("it was not translated");
  return compileTemplate(jinja)({ messages, add_generation_prompt: true, ...more }, new Date(0));
}

const ROUNDS = `{{ if .System }}<|system|>
{{ .System }}<|end|>
{{ end }}{{ if .Prompt }}<|user|>
{{ .Prompt }}<|end|>
{{ end }}<|assistant|>
{{ .Response }}<|end|>
`;

test("a template of rounds is printed once per round, the last time up to the answer", () => {
  expect(render(ROUNDS, [hi])).toBe("<|user|>\nHi<|end|>\n<|assistant|>\n");
  expect(render(ROUNDS, [system, hi, hello, bye])).toBe(
    "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n" +
      "<|user|>\nBye<|end|>\n<|assistant|>\n",
  );
  const ended = render(ROUNDS, [hi, hello], { add_generation_prompt: false });
  expect(ended).toBe("<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n");
});

test("a template that does not print the answer has it at its end", () => {
  const source = "[INST] {{ if .System }}{{ .System }} {{ end }}{{ .Prompt }} [/INST]";
  expect(render(source, [system, hi, hello, bye])).toBe(
    "[INST] Be kind. Hi [/INST]Hello[INST] Bye [/INST]",
  );
});

const MESSAGES = `{{- if .System }}<|system|>{{ .System }}<|end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "user" }}<|user|>{{ .Content }}<|end|>
{{ else if eq .Role "assistant" }}<|assistant|>{{ .Content }}{{ if not $last }}<|end|>
{{ end }}
{{- end }}
{{- if and $last (ne .Role "assistant") }}<|assistant|>{{ end }}
{{- end }}`;

test("a template that walks through the messages does so, and knows the last one", () => {
  expect(render(MESSAGES, [system, hi, hello, bye])).toBe(
    "<|system|>Be kind.<|end|>\n<|user|>Hi<|end|>\n<|assistant|>Hello<|end|>\n" +
      "<|user|>Bye<|end|>\n<|assistant|>",
  );
  const two = render(MESSAGES, [system, { ...system, content: "Be brief." }, hi]);
  expect(two).toStartWith("<|system|>Be kind.\n\nBe brief.<|end|>\n");
});

const TOOLS = `{{- if .Tools }}{{ range .Tools }}
{"type": "function", "function": {{ .Function }}}{{ end }}
{{ end }}{{ range .Messages }}{{ if .ToolCalls }}{{ range .ToolCalls -}}
<call>{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</call>
{{- end }}{{ else if eq .Role "tool" }}<result>{{ .Content }}</result>{{ else }}{{ .Content }}{{ end }}{{ end }}`;

test("tools and calls are printed as JSON, as Go prints them", () => {
  const tool = { type: "function", function: { name: "sum", parameters: { type: "object" } } };
  const call = { function: { name: "sum", arguments: { a: 1 } } };
  const text = render(
    TOOLS,
    [hi, { role: "assistant", content: "", tool_calls: [call] }, { role: "tool", content: "2" }],
    { tools: [tool] },
  );
  expect(text).toBe(
    '\n{"type": "function", "function": {"name": "sum", "parameters": {"type": "object"}}}\n' +
      'Hi<call>{"name": "sum", "arguments": {"a": 1}}</call><result>2</result>',
  );
});

type Case = [name: string, source: string, text: string];
const cases: Case[] = [
  ["comments and trims", "a {{- /* no */ -}} b{{ /* no */ }}", "ab"],
  ["texts of both kinds", '{{ "a\\n" }}{{ `b\\n` }}', "a\nb\\n"],
  ["braces of Jinja in the text", "{% x %}{# y #}{{ `{{ z }}` }}", "{% x %}{# y #}{{ z }}"],
  ["pipes", '{{ .System | eq "Be kind." | not }}', "False"],
  ["several to compare with", '{{ if eq .System "x" "Be kind." }}y{{ end }}', "y"],
  ["with, and else", "{{ with .System }}[{{ . }}]{{ else }}-{{ end }}", "[Be kind.]"],
  [
    "a variable that is set again",
    "{{ $x := `a` }}{{ range .Messages }}{{ $x = .Role }}{{ end }}{{ $x }}",
    "user",
  ],
  [
    "an inner range inside an outer one",
    "{{ range $i, $m := .Messages }}{{ range $j, $n := $.Messages }}{{ if and (eq $i 1) (eq $j 0) }}{{ $m.Role }}{{ $n.Role }}{{ end }}{{ end }}{{ end }}",
    "usersystem",
  ],
  ["quotes and backslashes", `"\\ {{ .System }}`, '"\\ Be kind.'],
];

test.each(cases)("%s", (_name, source, text) => {
  // The name makes it one that walks through the messages.
  expect(render(`${source}{{ if false }}{{ .Messages }}{{ end }}`, [system, hi])).toBe(text);
});

test.each([
  ["an open block", "{{ if .System }}x"],
  ["an end too many", "{{ end }}"],
  ["an open action", "{{ .System"],
  ["an unknown field of the root", "{{ .Secrets }}"],
  ["an unknown function", "{{ exec .System }}"],
  ["an undeclared variable", "{{ $x }}"],
  ["another template", '{{ template "x" . }}'],
  ["blocks without end", "{{ if .System }}".repeat(100) + "{{ end }}".repeat(100)],
  ["parentheses without end", `{{ ${"(".repeat(5_000)}.System${")".repeat(5_000)} }}`],
  [
    "comparisons that grow",
    `{{ ${"eq (".repeat(40)}.System${") .System .System .System".repeat(40)} }}`,
  ],
  ["too many actions", "{{ .System }}".repeat(20_000)],
  ["Jinja", "{% for m in messages %}{{ m['role'] }}{% endfor %}"],
])("%s is not translated, and nothing is thrown", (_name, source) => {
  expect(jinjaOfGo(source)).toBeNull();
});

test("no name of a template reaches a prototype", () => {
  for (const field of ["constructor", "__proto__", "toString", "hasOwnProperty"])
    expect(jinjaOfGo(`{{ .${field} }}`)).toBeNull();
});
