import { sequence } from "./gbnf.ts";
import { patternLength } from "./regex-grammar.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import type { Emitter } from "./schema-emit.ts";
import type { StringRules } from "./schema-shape.ts";
import type { Located } from "./schema-source.ts";
import { shapedText } from "./shaped-text.ts";
import { STRING_FORMATS } from "./string-formats.ts";

/**
 * A string that keeps `rules` and is none of `forbidden`; null when there is none. As many of the
 * patterns, the formats and the length are enforced as one grammar can hold; what is left over is
 * reported.
 */
export function stringGrammar(
  emitter: Emitter,
  rules: StringRules,
  forbidden: readonly string[],
): string | null {
  if (rules.max !== null && rules.max < rules.min) return null;
  const { builder } = emitter;
  const { text } = emitter.style;
  const inside = shapedInside(emitter, rules);
  if (inside === null) return null;
  if (inside !== undefined) return builder.add("text", sequence(text.open, inside, text.close));
  if (rules.min === 0 && rules.max === null) return text.free(builder, forbidden);
  const counted = text.counted(builder, rules);
  return counted === null ? null : builder.add("text", counted);
}

/** Whether `stringGrammar` can keep forbidden values apart from the rest. */
export function isFreeString(rules: StringRules): boolean {
  const shaped = rules.patterns.length > 0 || rules.formats.length > 0;
  return !shaped && rules.min === 0 && rules.max === null;
}

/** Some of the patterns and formats of a string. */
interface Part {
  patterns: readonly Located[];
  formats: readonly Located[];
}

/**
 * The inside of a string that keeps as much as can be written; undefined when no pattern and no
 * format can, null when no text keeps all patterns and the length.
 */
function shapedInside(emitter: Emitter, rules: StringRules): string | null | undefined {
  const all = { patterns: once(rules.patterns), formats: once(rules.formats) };
  const known = all.formats.filter(({ schema }) => STRING_FORMATS.has(String(schema)));
  const lengths = rules.lengthPointers.length > 0 ? [true, false] : [false];
  for (const part of partsOf({ ...all, formats: known })) {
    for (const isCounted of lengths) {
      const inside = written(emitter, part, isCounted ? rules : null);
      if (inside === null && part.formats.length === 0) return null;
      if (inside === undefined || inside === null) continue;
      tellRest(emitter, all, part);
      if (!isCounted) tellLengths(emitter, rules, part);
      return inside;
    }
  }
  for (const located of all.patterns) emitter.report(located);
  for (const located of all.formats) emitter.tell(located);
  return undefined;
}

const once = (all: readonly Located[]): readonly Located[] =>
  [...new Map(all.toReversed().map((located) => [located.schema, located])).values()].toReversed();

/** What to try, the most that is asked for first. */
function partsOf({ patterns, formats }: Part): readonly Part[] {
  const parts: Part[] = [{ patterns, formats }];
  if (patterns.length > 0 && formats.length > 0) parts.push({ patterns, formats: [] });
  if (patterns.length > 1) parts.push(...patterns.map((one) => ({ patterns: [one], formats: [] })));
  if (patterns.length > 0 || formats.length > 1) {
    parts.push(...formats.map((one) => ({ patterns: [], formats: [one] })));
  }
  return parts.filter((part) => part.patterns.length + part.formats.length > 0);
}

/** undefined when no grammar holds it. */
function written(
  { builder, style }: Emitter,
  { patterns, formats }: Part,
  length: StringRules | null,
): string | null | undefined {
  try {
    return shapedText(builder, style.text, {
      patterns: patterns.map(({ schema }) => String(schema)),
      formats: formats.map(({ schema }) => String(schema)),
      length: length === null ? null : { min: length.min, max: length.max },
      except: [],
    });
  } catch (error) {
    if (error instanceof UnsupportedPattern) return undefined;
    throw error;
  }
}

/** Tells what is not in `part`. Beside a pattern, a format of which nothing is known is a remark. */
function tellRest(emitter: Emitter, all: Part, part: Part): void {
  for (const located of all.patterns) if (!part.patterns.includes(located)) emitter.tell(located);
  for (const located of all.formats) {
    const isRemark = part.patterns.length > 0 && !STRING_FORMATS.has(String(located.schema));
    if (!isRemark && !part.formats.includes(located)) emitter.tell(located);
  }
}

/** Tells the limits that the texts of `part` do not keep by themselves. */
function tellLengths(emitter: Emitter, rules: StringRules, { patterns, formats }: Part): void {
  // Beside others, a format is written in full.
  const form = patterns.length + formats.length === 1 ? "usual" : "full";
  const known = formats.map(({ schema }) => STRING_FORMATS.get(String(schema))?.[form] ?? "");
  const lengths = [...patterns.map(({ schema }) => String(schema)), ...known].map(patternLength);
  const min = Math.max(...lengths.map((length) => length.min));
  const max = Math.min(...lengths.map((length) => length.max ?? Number.POSITIVE_INFINITY));
  for (const located of rules.lengthPointers) {
    const limit = Number(located.schema);
    const holds = located.pointer.endsWith("/minLength") ? limit <= min : limit >= max;
    if (!holds) emitter.tell(located);
  }
}
