import { expect, test } from "bun:test";
import { compileTemplate } from "../../../../src/chat/jinja/template.ts";

const messages = [{ role: "user", content: "hi" }];
const render = (source: string): string => compileTemplate(source)({ messages }, new Date(0));

/** Nothing of the host is behind a name: a template reads data, its own values and our functions. */
test.each([
  "{{ ''.constructor }}",
  "{{ ''['constructor'] }}",
  "{{ messages.__proto__ }}",
  "{{ messages['__proto__'] }}",
  "{{ messages[0].constructor }}",
  "{{ messages[0]['__proto__'] }}",
  "{{ messages.length }}",
  "{{ messages[0].size }}",
  "{{ (1).toString }}",
  "{{ range.constructor }}",
  "{{ raise_exception.call }}",
  "{{ namespace().constructor }}",
  "{{ namespace(a=1)['__proto__'] }}",
  "{{ self }}",
  "{{ globalThis }}{{ process }}{{ Bun }}{{ require }}",
  "{{ ''.__class__ }}",
  "{{ messages|map(attribute='constructor')|join }}",
  "{{ messages|map(attribute='__proto__.x')|join }}",
  "{% for m in messages %}{{ loop.constructor }}{{ loop['__proto__'] }}{% endfor %}",
])("T-D4: %s is empty", (source) => {
  expect(render(source)).toBe("");
});

test.each([
  { source: "{{ ''.constructor.constructor('return process')() }}", message: "is undefined" },
  { source: "{{ messages.map('x') }}", message: "is undefined" },
  { source: "{{ messages[0].get.constructor() }}", message: "is undefined" },
  { source: "{{ '{0.constructor}'.format('') }}", message: "unsupported format field" },
])("T-D4: $source is refused", ({ source, message }) => {
  expect(() => render(source)).toThrow(message);
});

test.each([
  {
    name: "a long range",
    source: "{% for i in range(999999999) %}{% endfor %}",
    message: "range()",
  },
  { name: "a repeated string", source: "{{ 'a' * 10**9 }}", message: "32 MiB" },
  {
    name: "a doubled string",
    source:
      "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    message: "32 MiB",
  },
  {
    name: "a doubled list",
    source:
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
    message: "items",
  },
  { name: "a wide padding", source: "{{ 'a'.ljust(10**9) }}", message: "32 MiB" },
  {
    name: "a growing replace",
    source: "{{ ('a' * 10**6).replace('a', 'b' * 10**6) }}",
    message: "32 MiB",
  },
  { name: "a growing join", source: "{{ ('b' * 10**6).join('a' * 1000) }}", message: "32 MiB" },
  { name: "a wide indent", source: "{{ 'a\\nb'|indent(10**9) }}", message: "32 MiB" },
  {
    name: "much output",
    source: "{% set s = 'a' * 10**6 %}{% for i in range(99) %}{{ s }}{% endfor %}",
    message: "32 MiB",
  },
  {
    name: "much work",
    source:
      "{% set s = 'a' * 10**6 %}{% for i in range(9999) %}{% if s|trim == '' %}{% endif %}{% endfor %}",
    message: "work",
  },
  {
    name: "a recursive macro",
    source: "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    message: "recursion",
  },
  {
    name: "a list that holds itself",
    source: "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}",
    message: "stack",
  },
  {
    name: "deep nesting of brackets",
    source: `{{ ${"(".repeat(50_000)}1${")".repeat(50_000)} }}`,
    message: "",
  },
  { name: "five mebibytes of source", source: "a".repeat(5 * 1024 * 1024), message: "1 MiB" },
  { name: "a megabyte of blanks", source: `${" ".repeat(1_000_000)}x`, message: "blanks" },
])("T-D4: $name is refused before it costs memory", ({ source, message }) => {
  expect(() => render(source)).toThrow(message);
});

test("T-C2: a key of the conversation named __proto__ is data", () => {
  const variables = JSON.parse('{"m": {"__proto__": {"polluted": "x"}}}') as Record<
    string,
    unknown
  >;
  const text = compileTemplate("{{ m['__proto__'].polluted }}{{ m.polluted }}")(
    variables,
    new Date(0),
  );
  expect(text).toBe("x");
  expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
});
