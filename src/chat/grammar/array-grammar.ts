import { sequence } from "./gbnf.ts";
import { bracketed, jsonRule } from "./json-rules.ts";
import { separated } from "./repeat.ts";
import type { Emitter } from "./schema-emit.ts";
import { smaller, type ArrayRules } from "./schema-shape.ts";

/** A JSON array that keeps `rules`; null when there is none. */
export function arrayGrammar(emitter: Emitter, rules: ArrayRules, hint: string): string | null {
  const { builder } = emitter;
  const comma = jsonRule(builder, "comma");
  const closed = rules.prefix.length > 0 && !rules.restGiven && rules.min <= rules.prefix.length;
  let max = closed ? smaller(rules.max, rules.prefix.length) : rules.max;
  const prefix: string[] = [];
  for (const [index, position] of rules.prefix.entries()) {
    if (max !== null && index >= max) break;
    const item = emitter.visit(position, `${hint}-${index}`);
    if (item === null) {
      max = smaller(max, index);
      break;
    }
    prefix.push(item);
  }
  // A tuple is complete unless the schema allows less.
  const min = rules.minGiven ? rules.min : Math.min(prefix.length, max ?? prefix.length);
  const needsRest = max === null || max > prefix.length;
  const rest = needsRest ? emitter.visit(rules.rest, `${hint}-item`) : null;
  if (rest === null) max = smaller(max, prefix.length);
  if (max !== null && min > max) return null;
  let inside = "";
  if (rest !== null) {
    const most = max === null ? null : max - prefix.length;
    const least = Math.max(0, min - prefix.length);
    inside =
      prefix.length === 0
        ? separated(builder, rest, comma, least, most)
        : tail(
            emitter,
            sequence(comma, separated(builder, rest, comma, Math.max(1, least), most)),
            least === 0,
          );
  }
  for (let index = prefix.length - 1; index >= 0; index--) {
    const item = prefix[index] ?? "";
    const lead = index === 0 ? item : sequence(comma, item);
    inside = tail(emitter, sequence(lead, inside), index >= min);
  }
  return builder.add(hint, bracketed(builder, "[", inside));
}

function tail(emitter: Emitter, body: string, optional: boolean): string {
  if (body === "") return "";
  return optional ? `${emitter.builder.add("tail", body)}?` : body;
}
