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
    '\n{"type": "function", "function": {"name":"sum","parameters":{"type":"object"}}}\n' +
      'Hi<call>{"name": "sum", "arguments": {"a":1}}</call><result>2</result>',
  );
});

type Case = [name: string, source: string, text: string];
/** The texts follow from the documentation of Go's packages text/template and fmt. */
const cases: Case[] = [
  ["comments and trims", "a {{- /* no */ -}} b{{ /* no */ }}", "ab"],
  ["texts of both kinds", '{{ "a\\n" }}{{ `b\\n` }}', "a\nb\\n"],
  ["braces of Jinja in the text", "{% x %}{# y #}{{ `{{ z }}` }}", "{% x %}{# y #}{{ z }}"],
  ["pipes", '{{ .System | eq "Be kind." | not }}', "false"],
  ["several to compare with", '{{ if eq .System "x" "Be kind." }}y{{ end }}', "y"],
  [
    "a variable that is declared again inside",
    '{{ $x := "a" }}{{ if true }}{{ $x := "b" }}{{ $x }}{{ end }}{{ $x }}{{ range .Messages }}{{ $x = "c" }}{{ end }}{{ $x }}',
    "bac",
  ],
  [
    "JSON with characters of HTML",
    '{{ json "<a> & \\"b\\"" }}',
    '"\\u003ca\\u003e \\u0026 \\"b\\""',
  ],
  ["with, and a name", "{{ with $s := .System }}{{ . }}{{ $s }}{{ end }}", "Be kind.Be kind."],
  [
    "if with a name, known in the else too",
    '{{ if $x := "" }}a{{ else }}[{{ $x }}]{{ end }}{{ if $y := len .Messages }}{{ $y }}{{ end }}',
    "[]2",
  ],
  [
    "a name inside hides the one outside, and is gone after the end",
    '{{ $x := "out" }}{{ with $x := "in" }}{{ $x }}{{ end }}{{ $x }}',
    "inout",
  ],
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
  ["printf without verbs, and a percent sign", '{{ printf "100%% of it" }}', "100% of it"],
  ["printf of texts", '{{ printf "<%s|%v>" .System "x" }}', "<Be kind.|x>"],
  [
    "printf pads and cuts texts",
    '{{ printf "[%10s|%-10s|%.2s]" "abc" "abc" "abc" }}',
    "[       abc|abc       |ab]",
  ],
  [
    "printf of numbers",
    '{{ printf "%d %5d %-5d| %05d %+d" 42 42 42 42 42 }}',
    "42    42 42   | 00042 +42",
  ],
  [
    "printf of fractions",
    '{{ printf "%.2f %8.3f %f %.0f" 3.14159 2.5 1.5 7.0 }}',
    "3.14    2.500 1.500000 7",
  ],
  ["printf of truths", '{{ printf "%t %v" true (eq 1 2) }}', "true false"],
  ["printf quotes", '{{ printf "%q" `a "b" \\ c` }}', '"a \\"b\\" \\\\ c"'],
  ["printf by numbers of its operands", '{{ printf "%[2]s %[1]s %s" "a" "b" }}', "b a b"],
  ["printf of a count, piped", '{{ len .Messages | printf "%d messages" }}', "2 messages"],
  ["printf into a test", '{{ if eq (printf "%s!" "a") "a!" }}y{{ end }}', "y"],
  ["printf of braces", '{{ printf "{{%s}}{%% x %%}" "a" }}', "{{a}}{% x %}"],
  ["print puts blanks between what is no text", '{{ print 1 2 "a" "b" 3 true }}', "1 2ab3 true"],
  ["println puts blanks between all", '{{ println "a" 1 "b" }}|', "a 1 b\n|"],
  [
    "truths and numbers as Go prints them",
    "{{ true }} {{ 7 }} {{ eq 1 1 }} {{ len .Messages }}",
    "true 7 true 2",
  ],
  ["break ends a range", "{{ range .Messages }}{{ .Role }}{{ break }}{{ end }}.", "system."],
  [
    "continue goes on with the next",
    '{{ range .Messages }}{{ if eq .Role "system" }}{{ continue }}{{ end }}[{{ .Role }}]{{ end }}',
    "[user]",
  ],
  [
    "break leaves the inner range only",
    "{{ range .Messages }}{{ range $.Messages }}{{ if eq .Role `user` }}{{ break }}{{ end }}{{ .Role }}{{ end }};{{ end }}",
    "system;system;",
  ],
  [
    "a range that broke off has no else",
    "{{ range .Messages }}{{ break }}{{ else }}none{{ end }}.",
    ".",
  ],
  [
    "a template with the root",
    '{{ define "s" }}<{{ .System }}>{{ end }}a{{ template "s" . }}b',
    "a<Be kind.>b",
  ],
  [
    "a template before its definition",
    '{{ template "s" $ }}{{ define "s" }}{{ .System }}{{ end }}',
    "Be kind.",
  ],
  [
    "a template without a value",
    '{{ define "x" }}only text{{ end }}{{ template "x" }}',
    "only text",
  ],
  [
    "a template with each message, whose dollar it is",
    '{{ define "m" }}{{ $.Role }}={{ .Content }};{{ end }}{{ range .Messages }}{{ template "m" . }}{{ end }}',
    "system=Be kind.;user=Hi;",
  ],
  [
    "templates in templates, with a pipeline",
    '{{ define "in" }}({{ . }}){{ end }}{{ define "out" }}{{ template "in" .Role }}{{ end }}{{ range .Messages }}{{ template "out" . }}{{ end }}{{ template "in" (printf "%d" 3) }}',
    "(system)(user)(3)",
  ],
  [
    "variables of a template are its own",
    '{{ define "x" }}{{ $a := "inner" }}{{ $a }}{{ end }}{{ $a := "outer" }}{{ template "x" . }} {{ $a }}',
    "inner outer",
  ],
  [
    "a block, which is a template in its place",
    '[{{ block "b" .System }}{{ . }}!{{ end }}]{{ template "b" "x" }}',
    "[Be kind.!]x!",
  ],
  [
    "a block in a range",
    '{{ range .Messages }}{{ block "r" . }}{{ .Role }},{{ end }}{{ end }}',
    "system,user,",
  ],
  ["trims around a definition", 'a\n{{- define "x" }} x {{ end -}}\nb{{ template "x" }}', "ab x "],
  [
    "an empty definition gives way",
    '{{ define "x" }} {{ end }}{{ define "x" }}y{{ end }}{{ template "x" }}',
    "y",
  ],
  ["quotes and backslashes", `"\\ {{ .System }}`, '"\\ Be kind.'],
];

test.each(cases)("%s", (_name, source, text) => {
  // The name makes it one that walks through the messages.
  expect(render(`${source}{{ if false }}{{ .Messages }}{{ end }}`, [system, hi])).toBe(text);
});

test("a template of rounds may have its parts in other templates", () => {
  const source =
    '{{ define "turn" }}<|user|>{{ .Prompt }}<|end|>{{ end }}{{ if .Prompt }}{{ template "turn" . }}{{ end }}' +
    '{{ block "answer" . }}<|assistant|>{{ .Response }}<|end|>{{ end }}';
  expect(render(source, [hi, hello, bye])).toBe(
    "<|user|>Hi<|end|><|assistant|>Hello<|end|><|user|>Bye<|end|><|assistant|>",
  );
});

test("a text in a text in a text takes no longer than it is", () => {
  const source = `{{ ${'printf "%s" ('.repeat(60)}.System${")".repeat(60)} }}`;
  expect(render(`${source}{{ if false }}{{ .Messages }}{{ end }}`, [system])).toBe("Be kind.");
});

test("an index of nought is printed, an absent field is not", () => {
  const source = "{{ range $i, $m := .Messages }}{{ $i }}{{ $m.Thinking }}{{ end }}";
  expect(render(source, [system, hi])).toBe("01");
});

const doubling = Array.from(
  { length: 15 },
  (_, at) =>
    `{{ define "t${at}" }}{{ template "t${at + 1}" . }}{{ template "t${at + 1}" . }}{{ end }}`,
).join("");

test.each([
  ["a format that is not known before", "{{ printf .System 1 }}"],
  ["a variable that is set before it is declared", "{{ $x = 1 }}"],
  ["a verb without operand", '{{ printf "%s" }}'],
  ["an operand without verb", '{{ printf "x" .System }}'],
  ["an operand beyond the last", '{{ printf "%[3]s" "a" "b" }}'],
  ["a verb that is not known", '{{ printf "%T" .System }}'],
  ["a percent sign at the end", '{{ printf "100%" }}'],
  ["a width that is asked for", '{{ printf "%*d" 5 1 }}'],
  ["a width without bound", '{{ printf "%999999999d" 1 }}'],
  ["a precision without bound", '{{ printf "%.999999999f" 1.0 }}'],
  ["a break outside of a range", "{{ if .System }}{{ break }}{{ end }}"],
  ["a break in the else of a range", "{{ range .Messages }}{{ else }}{{ break }}{{ end }}"],
  [
    "a break of the range around a block",
    '{{ range .Messages }}{{ block "b" . }}{{ break }}{{ end }}{{ end }}',
  ],
  ["a template that is not defined", '{{ template "x" . }}'],
  ["a template without a name", "{{ template .System }}"],
  ["a template that is defined twice", '{{ define "x" }}a{{ end }}{{ define "x" }}b{{ end }}'],
  ["a definition inside something else", '{{ if .System }}{{ define "x" }}{{ end }}{{ end }}'],
  ["a definition without end", '{{ define "x" }}a'],
  ["a definition with an else", '{{ define "x" }}a{{ else }}b{{ end }}'],
  ["a block without value", '{{ block "x" }}a{{ end }}'],
  [
    "a template that uses itself",
    '{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}',
  ],
  [
    "a template without a value that asks for one",
    '{{ define "x" }}{{ .Role }}{{ end }}{{ template "x" }}',
  ],
  [
    "a variable of the template around",
    '{{ define "x" }}{{ $a }}{{ end }}{{ $a := 1 }}{{ template "x" . }}',
  ],
  ["texts that grow", `{{ ${"print 1 1 (".repeat(60)}1${")".repeat(60)} }}`],
  ["a large text many times", `{{ printf "%s" "${"x".repeat(9_000)}" }}`.repeat(200)],
  ["templates that double", `${doubling}{{ define "t15" }}x{{ end }}{{ template "t0" . }}`],
])("%s is not translated either", (_name, source) => {
  expect(jinjaOfGo(`${source}{{ if false }}{{ .Messages }}{{ end }}`)).toBeNull();
});

test.each([
  ["an open block", "{{ if .System }}x"],
  ["an end too many", "{{ end }}"],
  ["an open action", "{{ .System"],
  ["an unknown field of the root", "{{ .Secrets }}"],
  ["an unknown function", "{{ exec .System }}"],
  ["an undeclared variable", "{{ $x }}"],
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
