import { enclosed } from "./array-grammar.ts";
import { extraMember } from "./extra-property.ts";
import { sequence } from "./gbnf.ts";
import { namesRules, PropertyNames } from "./property-names.ts";
import { separated } from "./repeat.ts";
import type { Emitter } from "./schema-emit.ts";
import type { ObjectRules } from "./schema-shape.ts";
import { childPointer } from "./schema-source.ts";

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
  const free = isFree(emitter, rules) ? style.anyObject(builder) : null;
  if (free !== null) return free;
  const names = new PropertyNames(emitter, rules);
  const members = declaredMembers(emitter, rules, names, hint);
  if (members === null) return null;
  const extra = extraMember(emitter, rules, names, hint, pointer);
  const list = new MemberList(
    emitter,
    members,
    extra,
    countLimits(emitter, rules, members, extra, pointer),
  );
  const inside = list.all();
  return inside === null ? null : builder.add(hint, enclosed(emitter, style.object, inside));
}

function isFree(emitter: Emitter, rules: ObjectRules): boolean {
  const open = rules.properties.size === 0 && rules.required.size === 0 && rules.max === null;
  return (
    open &&
    rules.min === 0 &&
    rules.patterns.length === 0 &&
    rules.rest.every(({ value }) => value.schema === true) &&
    namesRules(emitter, rules).length === 0
  );
}

/** Null when a required property can have no value. */
function declaredMembers(
  emitter: Emitter,
  rules: ObjectRules,
  names: PropertyNames,
  hint: string,
): Member[] | null {
  const { builder, style } = emitter;
  const members: Member[] = [];
  for (const name of style.sorted ? names.declared.toSorted(byName) : names.declared) {
    const all = names.owed(name);
    const value = all === null ? null : emitter.visit(all, `${hint}-${name}`);
    const required = rules.required.has(name);
    if (value === null && required) return null;
    if (value === null) continue;
    const rule = builder.add(`${hint}-${name}`, style.member(builder, name, value));
    members.push({ name, rule, required });
  }
  return members;
}

/** As Jinja's dictsort orders them. */
function byName(a: string, b: string): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  return x < y ? -1 : Number(x > y);
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
    emitter.tell({ schema: min, pointer: childPointer(pointer, "minProperties") });
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
