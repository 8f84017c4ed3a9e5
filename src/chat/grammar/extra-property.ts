import type { PropertyNames } from "./property-names.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import type { Emitter } from "./schema-emit.ts";
import type { ObjectRules } from "./schema-shape.ts";
import { childPointer, isSchemaObject } from "./schema-source.ts";
import { shapedText, type TextShape } from "./shaped-text.ts";

/** The rule of a property that is not declared; null when there may be none. */
export function extraMember(
  emitter: Emitter,
  rules: ObjectRules,
  names: PropertyNames,
  hint: string,
  pointer: string,
): string | null {
  if (names.rules.some(({ schema }) => schema === false)) return null;
  const options = patternMembers(emitter, rules, names, hint);
  const isClosed = names.declared.length > 0 || rules.patterns.length > 0;
  const owed = rules.rest.map(({ value }) => value);
  const rest = isClosed && owed.length === 0 ? null : emitter.visit(owed, `${hint}-extra`);
  if (rest !== null) {
    if (rules.patterns.length > 0) {
      emitter.report({ schema: null, pointer: childPointer(pointer, "patternProperties") });
    }
    const member = namedExtra(emitter, names, rest);
    if (member !== null) options.push(member);
  }
  return options.length === 0 ? null : emitter.builder.add(`${hint}-extra`, options.join(" | "));
}

/** Members whose names match a pattern; any name where no grammar can express the pattern. */
function patternMembers(
  emitter: Emitter,
  rules: ObjectRules,
  names: PropertyNames,
  hint: string,
): string[] {
  const { builder, style } = emitter;
  const options: string[] = [];
  for (const { pattern, pointer, value } of rules.patterns) {
    const rule = emitter.visit(names.owedBy(pattern), `${hint}-extra`);
    if (rule === null) continue;
    const { shape, isWhole } = names.shape(pattern);
    const found = keyOf(emitter, shape);
    const alone = found === undefined ? keyOf(emitter, { ...ANY, patterns: [pattern] }) : found;
    if (alone === null) continue;
    const member =
      alone === undefined
        ? style.extra(builder, names.declared, rule)
        : style.keyed(builder, alone, rule);
    options.push(member);
    // Names that match several patterns, or are declared, too, owe more than is checked here.
    const isOwn = found !== undefined || (alone !== undefined && !names.isDeclared(pattern));
    if (!isOwn || rules.patterns.length > 1) emitter.report({ schema: value, pointer });
    if (found === undefined || !isWhole) names.report();
  }
  return options;
}

const ANY: TextShape = { patterns: [], formats: [], length: null, except: [] };

/** An undeclared member; the rules for names hold where one is a list, or one text keeps all. */
function namedExtra(emitter: Emitter, names: PropertyNames, value: string): string | null {
  const { builder, style } = emitter;
  const { declared, rules } = names;
  if (rules.length === 0) return style.extra(builder, declared, value);
  const lists = rules.map(({ schema }) => listOf(schema));
  const list = lists.find((each) => Array.isArray(each));
  if (list !== undefined) {
    const free = list.filter((name) => typeof name === "string" && !declared.includes(name));
    const members = free.flatMap((name) => {
      const allowed = names.allow(name);
      if (allowed === null) names.report();
      return allowed === false ? [] : [style.member(builder, name, value)];
    });
    return members.length === 0 ? null : builder.add("named", members.join(" | "));
  }
  const { shape, isWhole } = names.shape(null);
  const key = keyOf(emitter, shape);
  if (key === undefined || !isWhole) names.report();
  if (key === null) return null;
  return key === undefined
    ? style.extra(builder, declared, value)
    : style.keyed(builder, key, value);
}

function listOf(schema: unknown): unknown {
  if (!isSchemaObject(schema)) return null;
  return schema["const"] === undefined ? schema["enum"] : [schema["const"]];
}

/** The inside of a name of this shape; null when there is none, undefined when none can be written. */
function keyOf({ builder, style }: Emitter, shape: TextShape): string | null | undefined {
  const isShaped = shape.patterns.length + shape.formats.length > 0;
  const patterns = isShaped ? shape.patterns : [ANY_TEXT];
  // Without quotes, no name is empty.
  const least = style.names === style.text ? 0 : 1;
  const { min, max } = shape.length ?? { min: 0, max: null };
  const whole = { ...shape, patterns, length: { min: Math.max(min, least), max } };
  try {
    return shapedText(builder, style.names, whole);
  } catch (error) {
    if (error instanceof UnsupportedPattern) return undefined;
    throw error;
  }
}

/** A length takes the place of the star. */
const ANY_TEXT = "^[\\s\\S]*$";
