import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJsonData } from "../../../src/chat/jinja/value.ts";
import { compileTemplate, type TemplateVariables } from "../../../src/chat/jinja/template.ts";
import { sharedPath } from "../../support/shared.ts";

/** The prompts of Python's jinja2 for the templates of many families, byte for byte. */

type Variant = { messages: unknown; tools: unknown; vars: Record<string, unknown> };
type Expected = { text?: string; error?: string };
type Rendered = {
  variants: Record<string, Variant>;
  expected: Record<string, Record<string, Expected>>;
};

/** Where Python's own prompt is one that nobody wants. */
const PYTHON_IS_WRONG: readonly {
  file: string;
  reason: string;
  restore: (text: string) => string;
}[] = [
  {
    file: "meetkai-functionary-medium-v3.1.jinja",
    reason: "after a `safe` filter jinja2 escapes what is added as if the prompt were HTML",
    restore: (text) =>
      text
        .replaceAll("&#34;", '"')
        .replaceAll("&#39;", "'")
        .replaceAll("&lt;", "<")
        .replaceAll("&gt;", ">")
        .replaceAll("&amp;", "&"),
  },
];

/** Where Python refuses and we answer with the prompt that other engines give. */
const PYTHON_REFUSES: readonly { message: string; reason: string }[] = [
  { message: "has no attribute 'description'", reason: "text plus a value that is absent" },
  { message: "'functions' is undefined", reason: "text plus a value that is absent" },
  { message: "can only concatenate str", reason: "text plus a dict" },
  { message: "access to attribute 'append' of 'list'", reason: "lists may grow within limits" },
  { message: "generator is not JSON serializable", reason: "filters give lists, not generators" },
  { message: "'NoneType' object is not iterable", reason: "tools are left out rather than None" },
];

/** The day on which the reference prompts were made. */
const NOW = new Date(2026, 10, 23, 12);
const folder = sharedPath("templates");

test.skipIf(folder === null)("every reference prompt is rendered byte for byte", () => {
  const file = readFileSync(join(folder ?? "", "rendered.json"), "utf8");
  const { variants, expected } = parseJsonData(file) as Rendered;
  const differing: string[] = [];
  let same = 0;
  for (const [name, prompts] of Object.entries(expected)) {
    const template = compileTemplate(readFileSync(join(folder ?? "", name), "utf8"));
    const known = PYTHON_IS_WRONG.find((entry) => entry.file === name);
    for (const [variant, wanted] of Object.entries(prompts)) {
      const got = attempt(() => template(variablesOf(variants[variant]), NOW));
      const text = wanted.text !== undefined && known ? known.restore(wanted.text) : wanted.text;
      if (isAsExpected(got, { ...wanted, ...(text === undefined ? {} : { text }) })) same += 1;
      else differing.push(`${name} ${variant}: ${got.error ?? firstDifference(got.text, text)}`);
    }
  }
  expect(differing).toEqual([]);
  expect(same).toBeGreaterThan(500);
});

function variablesOf(variant: Variant | undefined): TemplateVariables {
  if (variant === undefined) throw new Error("the reference data lacks a variant");
  return {
    messages: variant.messages,
    add_generation_prompt: true,
    bos_token: "<s>",
    eos_token: "</s>",
    ...(variant.tools === null ? {} : { tools: variant.tools }),
    ...variant.vars,
  };
}

function attempt(render: () => string): Expected {
  try {
    return { text: render() };
  } catch (error) {
    return { error: String(error) };
  }
}

function isAsExpected(got: Expected, wanted: Expected): boolean {
  if (wanted.text !== undefined) return got.text === wanted.text;
  const { error = "" } = wanted;
  return got.error !== undefined || PYTHON_REFUSES.some(({ message }) => error.includes(message));
}

function firstDifference(got = "", wanted = ""): string {
  const at = Array.from({ length: wanted.length + 1 }, (_, index) => index).find(
    (index) => got[index] !== wanted[index],
  );
  const near = (text: string): string =>
    JSON.stringify(text.slice(Math.max(0, (at ?? 0) - 30), (at ?? 0) + 40));
  return `got ${near(got)}, wanted ${near(wanted)}`;
}
