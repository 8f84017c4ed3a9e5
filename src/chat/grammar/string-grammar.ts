import { sequence } from "./gbnf.ts";
import { patternGrammar } from "./regex-grammar.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import type { Emitter } from "./schema-emit.ts";
import type { StringRules } from "./schema-shape.ts";
import type { Located } from "./schema-source.ts";
import { STRING_FORMATS } from "./string-formats.ts";

/**
 * A string that keeps `rules` and is none of `forbidden`; null when there is none. One pattern
 * or one format is enforced, or else the length; what is left over is reported.
 */
export function stringGrammar(
  emitter: Emitter,
  rules: StringRules,
  forbidden: readonly string[],
): string | null {
  if (rules.max !== null && rules.max < rules.min) return null;
  const { builder } = emitter;
  const { text } = emitter.style;
  const inside = byPattern(emitter, rules) ?? byFormat(emitter, rules);
  if (inside !== null) return builder.add("text", sequence(text.open, inside, text.close));
  if (rules.min === 0 && rules.max === null) return text.free(builder, forbidden);
  const counted = text.counted(builder, rules);
  return counted === null ? null : builder.add("text", counted);
}

/** Whether `stringGrammar` can keep forbidden values apart from the rest. */
export function isFreeString(rules: StringRules): boolean {
  const shaped = rules.patterns.length > 0 || rules.formats.length > 0;
  return !shaped && rules.min === 0 && rules.max === null;
}

function byPattern(emitter: Emitter, rules: StringRules): string | null {
  const seen = new Set<unknown>();
  let inside: string | null = null;
  for (const located of rules.patterns) {
    if (seen.has(located.schema)) continue;
    seen.add(located.schema);
    const found: string | null = inside === null ? translated(emitter, located, rules) : null;
    if (found === null) emitter.report(located);
    else inside = found;
  }
  if (inside !== null) for (const format of rules.formats) emitter.report(format);
  return inside;
}

function translated(emitter: Emitter, located: Located, rules: StringRules): string | null {
  try {
    const { expression, lengthHolds } = patternGrammar(
      emitter.builder,
      String(located.schema),
      rules,
      emitter.style.text,
    );
    if (!lengthHolds) for (const limit of rules.lengthPointers) emitter.report(limit);
    return expression;
  } catch (error) {
    if (error instanceof UnsupportedPattern) return null;
    throw error;
  }
}

function byFormat(emitter: Emitter, rules: StringRules): string | null {
  let inside: string | null = null;
  for (const located of rules.formats) {
    const known = STRING_FORMATS.get(String(located.schema));
    if (known === undefined || (inside !== null && inside !== known)) emitter.report(located);
    else inside = known;
  }
  if (inside === null) return null;
  for (const limit of rules.lengthPointers) emitter.report(limit);
  return emitter.builder.add("format", inside);
}
