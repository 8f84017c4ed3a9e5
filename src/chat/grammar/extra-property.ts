import { patternGrammar } from "./regex-grammar.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import type { PropertyNames } from "./property-names.ts";
import type { Emitter } from "./schema-emit.ts";
import type { ObjectRules } from "./schema-shape.ts";
import { childPointer, isSchemaObject } from "./schema-source.ts";
import { constraintsOf } from "./schema-values.ts";

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
    const key = keyOfPattern(emitter, pattern);
    const member =
      key === null ? style.extra(builder, names.declared, rule) : style.keyed(builder, key, rule);
    options.push(member);
    // Names that match several patterns, or are declared, too, owe more than is checked here.
    if (key === null || rules.patterns.length > 1 || names.isDeclared(pattern)) {
      emitter.report({ schema: value, pointer });
    }
    names.report();
  }
  return options;
}

/** An undeclared member; the rules for names hold where one is a list, or all are one pattern. */
function namedExtra(emitter: Emitter, names: PropertyNames, value: string): string | null {
  const { builder, style } = emitter;
  const { declared, rules } = names;
  const [only] = rules;
  if (only === undefined) return style.extra(builder, declared, value);
  const lists = rules.map(({ schema }) => (isSchemaObject(schema) ? schema["enum"] : null));
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
  const { pattern, ...others } = isSchemaObject(only.schema) ? only.schema : {};
  const key = typeof pattern === "string" ? keyOfPattern(emitter, pattern) : null;
  const isWhole = rules.length === 1 && constraintsOf(others).every((word) => word === "type");
  // A name that is declared may be written once more, and then owes more than this.
  const again = declared.some((name) => names.allow(name) !== false);
  if (key === null || !isWhole || again) names.report();
  return key === null ? style.extra(builder, declared, value) : style.keyed(builder, key, value);
}

function keyOfPattern({ builder, style }: Emitter, pattern: string): string | null {
  try {
    return patternGrammar(builder, pattern, { min: 0, max: null }, style.names).expression;
  } catch (error) {
    if (error instanceof UnsupportedPattern) return null;
    throw error;
  }
}
