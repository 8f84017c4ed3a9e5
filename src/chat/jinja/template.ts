import { parseTemplate } from "./parse.ts";
import { GLOBALS } from "./globals.ts";
import { Output, RenderRun } from "./render-run.ts";
import { Scope } from "./scope.ts";
import { compileBlock } from "./statements.ts";
import { toValue } from "./value.ts";

/** Variables of a template as JSON data; only own keys count. */
export type TemplateVariables = Readonly<Record<string, unknown>>;

/**
 * Renders with the variables as Python's jinja2 would with the settings of Hugging Face
 * transformers (trimmed blocks, loop controls, `tojson` without escapes).
 * @throws Error with the template's own message, or what is wrong with it.
 */
export type RenderTemplate = (variables: TemplateVariables, now: Date) => string;

/**
 * Compiles a chat template. The parser is `@huggingface/jinja`; evaluation is ours, with Python's
 * rules, a bound on what a render may make, and no object of the host in reach.
 * @throws Error when the source is no template.
 */
export function compileTemplate(source: string): RenderTemplate {
  const program = compileBlock(parseTemplate(source));
  return (variables, now) => {
    const run = new RenderRun(now);
    const scope = new Scope(run, null);
    for (const [name, value] of GLOBALS) scope.set(name, value);
    for (const [name, value] of Object.entries(variables)) {
      if (value !== undefined) scope.set(name, toValue(value));
    }
    const out = new Output(run);
    program(scope, out);
    return out.text;
  };
}
