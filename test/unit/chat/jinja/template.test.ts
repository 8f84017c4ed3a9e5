import { expect, test } from "bun:test";
import { compileTemplate } from "../../../../src/chat/jinja/template.ts";

const NOW = new Date(2026, 10, 3, 9, 5, 7);
const render = (source: string, variables = {}): string => compileTemplate(source)(variables, NOW);

type Case = { name: string; source: string; variables?: Record<string, unknown>; text: string };

const cases: Case[] = [
  {
    name: "None, True and lists as Python prints them",
    source: "{{ none }} {{ true }} {{ [1, 'a', none, {'k': 2.0}] }}",
    text: "None True [1, 'a', None, {'k': 2.0}]",
  },
  {
    name: "quotes inside printed strings",
    source: `{{ ["it's", 'say "x"', "both ' and " ~ '"'] }}`,
    text: `["it's", 'say "x"', 'both \\' and "']`,
  },
  {
    name: "a tuple",
    source: "{{ (1, 2) }} {{ {'a': 1}.items()|list }}",
    text: "(1, 2) [('a', 1)]",
  },
  {
    name: "floats in Python's shape",
    source: "{{ 4 / 2 }} {{ 7 // 2 }} {{ -7 % 3 }} {{ 2 ** 3 }} {{ 1.5 * 2 }}",
    text: "2.0 3 2 8 3.0",
  },
  {
    name: "Undefined is empty and false",
    source: "[{{ nothing }}{{ nothing.at.all }}{% for x in nothing %}x{% else %}none{% endfor %}]",
    text: "[none]",
  },
  {
    name: "what Python does not print is escaped in printed lists",
    source: "{{ [a, ' b'] }}",
    variables: { a: "\u00a0\u200b\u2028\ufeff\x07\u{e0001}" },
    text: "['\\xa0\\u200b\\u2028\\ufeff\\x07\\U000e0001', ' b']",
  },
  {
    name: "a title's words begin after blanks, dashes and brackets",
    source: `{{ "user_name it's x-y (foo <BAR o'neil"|title }} {{ "it's".title() }}`,
    text: "User_name It's X-Y (Foo <Bar O'neil It'S",
  },
  {
    name: "tests with an argument, in parentheses and without",
    source:
      "{{ 4 is divisibleby(2) }} {{ 4 is divisibleby 3 }} {{ 1 is in [1] }} {{ 1 is not in [1] }} {{ 1 is eq(1) and 2 is ne 3 }}",
    text: "True False True False True",
  },
  {
    name: "the argument of a test has members and items, and ends before the next word",
    source:
      "{{ 'yes' if x is sameas true else 'no' }} {{ 2 is eq d.a[0].b or false }} {{ not 3 is gt d['a'][0]['b'] }} {{ [1 is lt (2), d.a|length is eq 1] }}",
    variables: { x: true, d: { a: [{ b: 2 }] } },
    text: "yes True False [True, True]",
  },
  {
    name: "tests without an argument before another word",
    source: "{{ x is defined and y is not defined }} {{ x is none if y is defined else 'b' }}",
    variables: { x: 1 },
    text: "True b",
  },
  {
    name: "tuples of one and of none",
    source: "{{ (1,) }}{{ () }}{{ 'a' in ('a',) }}{{ 'ab'.endswith(('b',)) }}{{ (1, 2,) + () }}",
    text: "(1,)()TrueTrue(1, 2)",
  },
  {
    name: "numbers with an exponent",
    source: "{{ 1e3 }} {{ 2.5e-3 }} {{ -1E2 }} {{ 1e16 }}",
    text: "1000.0 0.0025 -100.0 1e+16",
  },
  {
    name: "the line ends of Windows and of old Macs are newlines, in escapes they stay",
    source: "a\r\n{% if true %}\r\nb{{ '\\r\\n' }}\r{% endif %}\r\nc\r\n",
    text: "a\nb\r\n\nc",
  },
  {
    name: "groups are pairs whose items have names",
    source:
      "{% for k, g in l|groupby('k') %}{{ k }}{{ g|length }}{% endfor %}{% for g in l|groupby('k') %}{{ g.grouper }}{{ g[0] }}{{ g.list|map(attribute='v')|join }}{% endfor %}{{ l|groupby('k')|map(attribute='grouper')|join }}",
    variables: {
      l: [
        { k: "b", v: 1 },
        { k: "a", v: 2 },
        { k: "b", v: 3 },
      ],
    },
    text: "a1b2aa2bb13ab",
  },
  {
    name: "sums begin where they are told",
    source: "{{ [1, 2]|sum(start=3) }} {{ [[1], [2]]|sum(start=[]) }} {{ [1, 2.0]|sum }}",
    text: "6 [1, 2] 3.0",
  },
  {
    name: "a rounded integer stays one",
    source: "{{ 3|round }} {{ 2.5|round }} {{ 3|round(0, 'floor') }}",
    text: "3 2.0 3.0",
  },
  {
    name: "strip takes a set of characters",
    source: "[{{ '\\n\\n  x \\n'.strip('\\n') }}][{{ '..x..'.lstrip('.') }}][{{ ' x ' | trim }}]",
    text: "[  x ][x..][x]",
  },
  {
    name: "a set variable does not leave its loop turn",
    source:
      "{% set n = 0 %}{% for i in [1, 2] %}{% if n %}leak{% endif %}{% set n = i %}{% endfor %}{{ n }}",
    text: "0",
  },
  {
    name: "a namespace carries values out of a loop",
    source:
      "{% set ns = namespace(n=0) %}{% for i in [1, 2, 3] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    text: "6",
  },
  {
    name: "text before break and continue stays",
    source:
      "{% for i in range(5) %}{% if i == 1 %}skip {% continue %}{% endif %}{{ i }} {% if i == 2 %}end{% break %}{% endif %}{% endfor %}",
    text: "0 skip 2 end",
  },
  {
    name: "loop variables",
    source:
      "{% for i in 'abc' %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
    text: "12TrueFalseb 21FalseFalseac 30FalseTrueb ",
  },
  {
    name: "a loop with a condition",
    source: "{% for i in range(6) if i is odd %}{{ i }}/{{ loop.length }} {% endfor %}",
    text: "1/3 3/3 5/3 ",
  },
  {
    name: "unpacking pairs",
    source:
      "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% set a, b = (1, 2) %}{{ a + b }}",
    variables: { d: { x: 1, y: [] } },
    text: "x=1;y=[];3",
  },
  {
    name: "a key called items does not hide the method",
    source: "{% for k, v in d.items() %}{{ k }}{% endfor %}{{ d['items'] }}",
    variables: { d: { items: 5 } },
    text: "items5",
  },
  {
    name: "integer keys",
    source: "{% set d = {0: 'a', 512: 'b'} %}{{ d[512] }}{% for k in d %}{{ k }},{% endfor %}",
    text: "b0,512,",
  },
  {
    name: "membership and equality look inside",
    source:
      "{{ [1] in [[1]] }} {{ {'a': [1]} == {'a': [1]} }} {{ 'k' in {'k': 1} }} {{ 1 in nothing }} {{ true == 1 }}",
    text: "True True True False True",
  },
  {
    name: "slices",
    source:
      "{{ 'abcdef'[1:-1] }} {{ [1,2,3,4][::-1] }} {{ [1,2,3,4][::2] }} {{ 'abc'[-1] }} {{ [1,2][5:] }}",
    text: "bcde [4, 3, 2, 1] [1, 3] c []",
  },
  {
    name: "code points count once",
    source: "{{ 'a😀b'|length }} {{ 'a😀b'[1] }} {{ 'a😀b'[::-1] }} {{ 'a😀b'.find('b') }}",
    text: "3 😀 b😀a 2",
  },
  {
    name: "str.format and percent",
    source:
      "{{ '{} {name} {{}}'.format(1, name='x') }} {{ '%s is %d, %05.1f' % ('a', 2, 3.14159) }} {{ '%s'|format([1]) }}",
    text: "1 x {} a is 2, 003.1 [1]",
  },
  {
    name: "tojson in Python's style",
    source: "{{ {'a': [1, 2.0, none, 'é\\n<'], 'b': {}}|tojson }}",
    text: '{"a": [1, 2.0, null, "é\\n<"], "b": {}}',
  },
  {
    name: "tojson indented and sorted",
    source: "{{ {'b': [1], 'a': []}|tojson(indent=2, sort_keys=true) }}",
    text: '{\n  "a": [],\n  "b": [\n    1\n  ]\n}',
  },
  {
    name: "filters on sequences",
    source:
      "{{ [3,1,2]|sort|join(',') }} {{ ['b','A']|sort }} {{ [1,2,2]|unique|list }} {{ [1,2]|sum }} {{ [4,9]|max }}{{ []|min }}",
    text: "1,2,3 ['A', 'b'] [1, 2] 3 9",
  },
  {
    name: "select, reject, map",
    source:
      "{{ m|selectattr('r', 'equalto', 'u')|map(attribute='c')|list }} {{ m|rejectattr('x')|list|length }} {{ [0, 1]|select|list }} {{ ['a']|map('upper')|first }}",
    variables: {
      m: [
        { r: "u", c: 1 },
        { r: "a", c: 2 },
      ],
    },
    text: "[1] 2 [1] A",
  },
  {
    name: "default with and without its flag",
    source:
      "{{ nothing|default('d') }} {{ ''|default('d') }} {{ ''|default('d', true) }} {{ none|d(0) }}",
    text: "d  d None",
  },
  {
    name: "undefined and none through text filters",
    source:
      "[{{ nothing|trim }}{{ nothing|upper }}{{ nothing|length }}] {{ none|string }} {{ {'a': 1}|string }}",
    text: "[0] None {'a': 1}",
  },
  {
    name: "a macro with defaults, keywords and a caller",
    source:
      "{% macro m(a, b='d') %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}{{ m(1) }} {{ m(b=2, a=3) }} {% call m(4) %}body{% endcall %}",
    text: "1d 32 4dbody",
  },
  {
    name: "a macro sees what is set later, not the caller's loop",
    source:
      "{% macro m() %}{{ x }}{{ i }}{% endmacro %}{% set x = 1 %}{% for i in [7] %}{{ m() }}{% endfor %}",
    text: "1",
  },
  {
    name: "set, filter blocks and comments",
    source: "{# c #}{% set x %} a {% endset %}[{{ x }}]{% filter upper %}b{{ 1 }}{% endfilter %}",
    text: "[ a ]B1",
  },
  {
    name: "string plus what is absent, as other engines do",
    source: "{{ 'a' + nothing + none }} {{ 'n' + 1 }}",
    text: "a n1",
  },
  {
    name: "lists and dicts that change",
    source:
      "{% set l = [1] %}{% set _ = l.append(2) %}{{ l }}{{ l.pop() }}{{ l }} {% set d = {} %}{% set _ = d.update({'k': 1}) %}{{ d }}",
    text: "[1, 2]2[1] {'k': 1}",
  },
  {
    name: "conditions without else",
    source: "[{{ 'a' if false }}][{{ 'a' if true }}]",
    text: "[][a]",
  },
  {
    name: "tests",
    source:
      "{{ 'a' is string }} {{ {} is mapping }} {{ [] is iterable }} {{ 1 is number }} {{ nothing is defined }} {{ none is none }} {{ 1.0 is float }} {{ true is integer }}",
    text: "True True True True False True True False",
  },
  {
    name: "splitting",
    source:
      "{{ 'a  b'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'x</t>y'.split('</t>')[-1] }} {{ 'a\\nb\\n'.splitlines() }}",
    text: "['a', 'b'] ['a', 'b,c'] ['a,b', 'c'] y ['a', 'b']",
  },
  { name: "the generation tag", source: "{% generation %}a{% endgeneration %}", text: "a" },
  {
    name: "blocks trimmed as transformers does",
    source: "  {% if true %}\n  a\n  {% endif %}\nb",
    text: "  a\nb",
  },
];

test.each(cases)("jinja: $name", ({ source, variables, text }) => {
  expect(render(source, variables)).toBe(text);
});

test.each([
  { format: "%d %B %Y", text: "03 November 2026" },
  { format: "%-d %b %y, %A %a %j", text: "3 Nov 26, Tuesday Tue 307" },
  { format: "%H:%M:%S %I %p %e %F %%", text: "09:05:07 09 AM  3 2026-11-03 %" },
])("strftime_now($format) has English names and every common code", ({ format, text }) => {
  expect(render(`{{ strftime_now('${format}') }}`)).toBe(text);
});

test.each([
  { source: "{{ raise_exception('no ' ~ 'way') }}", message: "no way" },
  { source: "{% for x in none %}{% endfor %}", message: "'NoneType' object is not iterable" },
  { source: "{{ x.nope() }}", message: "'x.nope' is undefined" },
  { source: "{{ 1 + none }}", message: "unsupported operand type(s) for +: 'int' and 'NoneType'" },
  { source: "{{ 1|nofilter }}", message: "No filter named 'nofilter'." },
  { source: "{{ 1 is nothing_known }}", message: "No test named 'nothing_known'." },
  {
    source: "{% set d = {} %}{% set d.x = 1 %}",
    message: "cannot assign attribute on non-namespace object",
  },
])("a template that fails says why: $message", ({ source, message }) => {
  expect(() => render(source)).toThrow(message);
});

test("variables are not changed by the template that reads them", () => {
  const template = compileTemplate("{% set _ = l.append(1) %}{{ l|length }}");
  const variables = { l: [0] };
  expect([template(variables, NOW), template(variables, NOW)]).toEqual(["2", "2"]);
  expect(variables).toEqual({ l: [0] });
});
