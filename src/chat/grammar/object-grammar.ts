import { enclosed } from "./array-grammar.ts";
import { sequence } from "./gbnf.ts";
import { patternGrammar } from "./regex-grammar.ts";
import { UnsupportedPattern } from "./regex-parse.ts";
import { separated } from "./repeat.ts";
import type { Emitter } from "./schema-emit.ts";
import { restRules, type ObjectRules } from "./schema-shape.ts";
import { childPointer, isSchemaObject, type Located } from "./schema-source.ts";

interface Member {
  name: string;
  rule: string;
  required: boolean;
}

/** Largest number of states kept to count properties. */
const MAX_COUNT_STATES = 4000;

/** An object that keeps `rules`, declared properties in their order; null when there is none. */
export function objectGrammar(
  emitter: Emitter,
  rules: ObjectRules,
  hint: string,
  pointer: string,
): string | null {
  const { builder, style } = emitter;
  for (const located of rules.unenforced) emitter.report(located);
  if (isFree(rules)) return style.anyObject(builder);
  const members = declaredMembers(emitter, rules, hint);
  if (members === null) return null;
  const extra = extraMember(emitter, rules, hint, pointer);
  const list = new MemberList(
    emitter,
    members,
    extra,
    countLimits(emitter, rules, members, extra, pointer),
  );
  const inside = list.all();
  return inside === null ? null : builder.add(hint, enclosed(emitter, style.object, inside));
}

function isFree(rules: ObjectRules): boolean {
  const open = rules.properties.size === 0 && rules.required.size === 0 && rules.max === null;
  return (
    open &&
    rules.min === 0 &&
    rules.patterns.length === 0 &&
    [...restRules(rules), ...rules.names].every(({ schema }) => schema === true)
  );
}

/** Null when a required property can have no value. */
function declaredMembers(emitter: Emitter, rules: ObjectRules, hint: string): Member[] | null {
  const { builder, style } = emitter;
  const wanted = new Map(rules.properties);
  for (const name of rules.required) {
    if (!wanted.has(name)) wanted.set(name, restRules(rules));
  }
  const members: Member[] = [];
  const entries = style.sorted ? [...wanted].toSorted(byName) : wanted;
  for (const [name, all] of entries) {
    const value = emitter.visit(all, `${hint}-${name}`);
    const required = rules.required.has(name);
    if (value === null && required) return null;
    if (value === null) continue;
    const rule = builder.add(`${hint}-${name}`, style.member(builder, name, value));
    members.push({ name, rule, required });
  }
  return members;
}

/** As Jinja's dictsort orders them. */
function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  return x < y ? -1 : Number(x > y);
}

/** The rule of a property that is not declared; null when there may be none. */
function extraMember(
  emitter: Emitter,
  rules: ObjectRules,
  hint: string,
  pointer: string,
): string | null {
  const { builder, style } = emitter;
  const options: string[] = [];
  const declared = [...new Set([...rules.properties.keys(), ...rules.required])];
  for (const { pattern, pointer: at, value } of rules.patterns) {
    const key = keyOfPattern(emitter, pattern);
    const rule = emitter.visit(value, `${hint}-extra`);
    const member = key === null || rule === null ? null : style.keyed(builder, key, rule);
    if (member === null) continue;
    options.push(member);
    // Names that match several patterns, or are declared, too, owe more than is checked here.
    if (rules.patterns.length > 1 || declared.length > 0)
      emitter.report({ schema: value, pointer: at });
  }
  const given = rules.additionalGiven || rules.unevaluated.length > 0;
  const refusesRest = !given && (declared.length > 0 || rules.patterns.length > 0);
  const rest = refusesRest ? null : emitter.visit(restRules(rules), `${hint}-extra`);
  if (rest !== null) {
    if (rules.patterns.length > 0) {
      emitter.report({ schema: null, pointer: childPointer(pointer, "patternProperties") });
    }
    const member = namedExtra(emitter, rules.names, declared, rest);
    if (member !== null) options.push(member);
  }
  return options.length === 0 ? null : builder.add(`${hint}-extra`, options.join(" | "));
}

/** An undeclared member; the rules for names hold where they are a list or one pattern. */
function namedExtra(
  emitter: Emitter,
  names: readonly Located[],
  declared: readonly string[],
  value: string,
): string | null {
  const { builder, style } = emitter;
  if (names.length === 0) return style.extra(builder, declared, value);
  const [only, ...others] = names;
  const rules =
    only !== undefined && others.length === 0 && isSchemaObject(only.schema) ? only.schema : {};
  const { enum: list, pattern } = rules;
  if (Array.isArray(list)) {
    const free = list.filter((name) => typeof name === "string" && !declared.includes(name));
    const members = free.map((name) => style.member(builder, String(name), value));
    return members.length === 0 ? null : builder.add("named", members.join(" | "));
  }
  const key = typeof pattern === "string" ? keyOfPattern(emitter, pattern) : null;
  const known = Object.keys(rules).every((keyword) => ["pattern", "type"].includes(keyword));
  if (key === null || declared.length > 0 || !known) for (const name of names) emitter.report(name);
  if (key !== null) return style.keyed(builder, key, value);
  return style.extra(builder, declared, value);
}

function keyOfPattern(emitter: Emitter, pattern: string): string | null {
  const { builder, style } = emitter;
  try {
    return patternGrammar(builder, pattern, { min: 0, max: null }, style.text).expression;
  } catch (error) {
    if (error instanceof UnsupportedPattern) return null;
    throw error;
  }
}

interface CountLimits {
  min: number;
  max: number | null;
}

/** The limits that are still to be counted; reported when that would take too many states. */
function countLimits(
  emitter: Emitter,
  rules: ObjectRules,
  members: readonly Member[],
  extra: string | null,
  pointer: string,
): CountLimits {
  const required = members.filter((member) => member.required).length;
  const min = rules.min <= required ? 0 : rules.min;
  const max =
    extra === null && rules.max !== null && rules.max >= members.length ? null : rules.max;
  // Undeclared names may repeat, and then count once.
  if (extra !== null && min > members.length + 1) {
    emitter.report({ schema: min, pointer: childPointer(pointer, "minProperties") });
  }
  if (members.length * Math.max(min, max ?? 0) <= MAX_COUNT_STATES) return { min, max };
  for (const keyword of ["minProperties", "maxProperties"]) {
    emitter.report({ schema: null, pointer: childPointer(pointer, keyword) });
  }
  return { min: 0, max: null };
}

/** The members of an object: each declared one at most once and in order, then the others. */
class MemberList {
  readonly #emitter: Emitter;
  readonly #members: readonly Member[];
  readonly #extra: string | null;
  readonly #limits: CountLimits;
  /** Counting stops here: more makes no difference. */
  readonly #countCap: number;
  readonly #comma: string;
  readonly #lastRequired: number;
  readonly #memo = new Map<string, string | null>();

  constructor(
    emitter: Emitter,
    members: readonly Member[],
    extra: string | null,
    limits: CountLimits,
  ) {
    this.#emitter = emitter;
    this.#members = members;
    this.#extra = extra;
    this.#limits = limits;
    this.#countCap = Math.max(1, limits.max ?? limits.min);
    this.#comma = emitter.style.comma(emitter.builder);
    this.#lastRequired = members.findLastIndex((member) => member.required);
  }

  /** Everything between the braces; "" when nothing fits there, null when nothing is valid. */
  all(): string | null {
    // From the back, so that a long run of members does not become deep recursion.
    for (let index = this.#members.length; index > 0 && this.#countCap === 1; index--) {
      this.#some(index, 1);
      this.#some(index, 0);
    }
    const some = this.#some(0, 0);
    if (!this.#mayStop(0, 0)) return some;
    return some === null ? "" : `${some}?`;
  }

  #mayStop(index: number, count: number): boolean {
    return index > this.#lastRequired && count >= this.#limits.min;
  }

  /** At least one more member, from position `index` on, with `count` already written. */
  #some(index: number, count: number): string | null {
    const { max } = this.#limits;
    if (max !== null && count >= max) return null;
    const key = `${index} ${count}`;
    const known = this.#memo.get(key);
    if (known !== undefined) return known;
    this.#emitter.builder.spend(1);
    const member = this.#members[index];
    const rule = member === undefined ? this.#extras(count) : this.#from(member, index, count);
    this.#memo.set(key, rule);
    return rule;
  }

  #from(member: Member, index: number, count: number): string | null {
    const options: string[] = [];
    const skipped = member.required ? null : this.#some(index + 1, count);
    const next = Math.min(count + 1, this.#countCap);
    const more = this.#some(index + 1, next);
    const stops = this.#mayStop(index + 1, next);
    if (more !== null) options.push(`${member.rule} ${this.#following(more, stops)}`);
    else if (stops) options.push(member.rule);
    if (skipped !== null) options.push(skipped);
    if (options.length === 0) return null;
    return this.#emitter.builder.add("members", options.join(" | "));
  }

  #following(more: string, optional: boolean): string {
    const tail = sequence(this.#comma, more);
    return optional ? `${this.#emitter.builder.add("more", tail)}?` : tail;
  }

  #extras(count: number): string | null {
    if (this.#extra === null) return null;
    const { min, max } = this.#limits;
    const most = max === null ? null : max - count;
    const { builder } = this.#emitter;
    const least = Math.max(1, min - count);
    if (most !== null && most < least) return null;
    return builder.add("extras", separated(builder, this.#extra, this.#comma, least, most));
  }
}
