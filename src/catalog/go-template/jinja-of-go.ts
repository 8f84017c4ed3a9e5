import { expandTemplates } from "./expand.ts";
import { parseTemplate, type Node, type Value } from "./parse.ts";
import { UnsupportedTemplate } from "./scan.ts";
import { Translator } from "./translate.ts";

/**
 * A chat template in Go's template language, as Ollama's models bring, as a Jinja template.
 * Templates that walk through `.Messages` are translated as they are. Older ones print one round of
 * `.System`, `.Prompt` and `.Response`, and are run once per round, the last time up to `.Response`.
 * @returns null for a template that is broken, or uses what is not translated.
 */
export function jinjaOfGo(source: string): string | null {
  if (source.trim() === "") return null;
  try {
    const nodes = expandTemplates(parseTemplate(source));
    return uses(nodes, "Messages") ? SYSTEM + new Translator(ROOT).body(nodes) : rounds(nodes);
  } catch (error) {
    if (error instanceof UnsupportedTemplate) return null;
    throw error;
  }
}

/** All system messages of the conversation, which such templates print themselves. */
const SYSTEM =
  '{%- set v = namespace(system="") -%}{%- for m in messages -%}{%- if m.role == "system" -%}' +
  '{%- set v.system = (v.system ~ "\\n\\n" ~ m.content) if v.system else m.content -%}' +
  "{%- endif -%}{%- endfor -%}";

/** What the root's fields are in a conversation. */
const ROOT: Readonly<Record<string, string>> = {
  Messages: "messages",
  System: "v.system",
  Tools: "(tools or [])",
  Think: "(enable_thinking | default(false))",
  ThinkLevel: '(reasoning_effort | default(""))',
  IsThinkSet: "(enable_thinking is defined)",
  Prompt: '""',
  Response: '""',
  Suffix: '""',
};

const ROUND: Readonly<Record<string, string>> = {
  ...ROOT,
  Messages: "[]",
  System: "system",
  Prompt: "prompt",
  Response: "response",
};

function rounds(nodes: readonly Node[]): string {
  const whole = uses(nodes, "Response") ? nodes : [...nodes, RESPONSE];
  const turn = new Translator(ROUND).body(whole);
  const last = new Translator(ROUND).body(untilResponse(whole).nodes);
  const call = "{{ turn(r.system, r.prompt, r.response) }}";
  const say = `${call}{%- set r.system = "" -%}{%- set r.prompt = "" -%}{%- set r.response = "" -%}`;
  const begin = '{%- set v = namespace(system="") -%}';
  return [
    `{%- macro turn(system, prompt, response) -%}${begin}${turn}{%- endmacro -%}`,
    `{%- macro last(system, prompt, response) -%}${begin}${last}{%- endmacro -%}`,
    '{%- set r = namespace(system="", prompt="", response="") -%}',
    "{%- for m in messages -%}",
    `{%- if m.role == "system" -%}{%- if r.prompt or r.response -%}${say}{%- endif -%}`,
    "{%- set r.system = m.content -%}",
    `{%- elif m.role == "user" -%}{%- if r.response -%}${say}{%- endif -%}`,
    "{%- set r.prompt = m.content -%}",
    '{%- elif m.role == "assistant" -%}{%- set r.response = m.content -%}{%- endif -%}',
    "{%- endfor -%}",
    `{%- if r.response -%}${say}{%- endif -%}`,
    "{%- if add_generation_prompt -%}",
    '{{ last(r.system, r.prompt, "") }}{%- elif r.prompt -%}',
    `${call}{%- endif -%}`,
  ].join("");
}

const RESPONSE: Node = {
  kind: "print",
  value: { kind: "chain", from: "dot", fields: ["Response"] },
};

const isResponse = (value: Value): boolean =>
  value.kind === "chain" && value.fields.length === 1 && value.fields[0] === "Response";

/** The nodes before `.Response`, in its own block and in all around it. */
function untilResponse(nodes: readonly Node[]): { nodes: Node[]; isFound: boolean } {
  const kept: Node[] = [];
  for (const node of nodes) {
    if (node.kind === "print" && isResponse(node.value)) return { nodes: kept, isFound: true };
    // A test of the answer asks whether there is one: there will be.
    const isOpen = node.kind === "if" && isResponse(node.value);
    const then = "body" in node ? untilResponse(node.body) : null;
    if (then === null) kept.push(node);
    else if (isOpen) kept.push(...then.nodes);
    else kept.push({ ...node, body: then.nodes } as Node);
    if (then?.isFound === true) return { nodes: kept, isFound: true };
  }
  return { nodes: kept, isFound: false };
}

function uses(nodes: readonly Node[], field: string): boolean {
  return JSON.stringify(nodes).includes(`"${field}"`);
}
