import { sequence } from "./gbnf.ts";
import { separated } from "./repeat.ts";
import type { Emitter } from "./schema-emit.ts";
import { smaller, type ArrayRules } from "./schema-shape.ts";

/** A JSON array that keeps `rules`; null when there is none. */
export function arrayGrammar(emitter: Emitter, rules: ArrayRules, hint: string): string | null {
  const { builder, style } = emitter;
  const comma = style.comma(builder);
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
    prefix.push(style.item(builder, item));
  }
  // A tuple is complete unless the schema allows less.
  const min = rules.minGiven ? rules.min : Math.min(prefix.length, max ?? prefix.length);
  const needsRest = max === null || max > prefix.length;
  const others = needsRest ? emitter.visit(rules.rest, `${hint}-item`) : null;
  const rest = others === null ? null : asUnit(emitter, style.item(builder, others));
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
  return builder.add(hint, enclosed(emitter, style.array, inside));
}

/** `inside` between delimiters, with optional white space. `inside` may be empty or optional. */
export function enclosed(
  { builder, style }: Emitter,
  { open, close }: { open: string; close: string },
  inside: string,
): string {
  const ws = style.ws(builder);
  return inside === "" ? sequence(open, ws, close) : sequence(open, ws, inside, ws, close);
}

/** What can be repeated: a rule name stays, a sequence becomes one. */
function asUnit(emitter: Emitter, expression: string): string {
  return /^[a-zA-Z0-9-]+$/.test(expression) ? expression : emitter.builder.add("item", expression);
}

function tail(emitter: Emitter, body: string, optional: boolean): string {
  if (body === "") return "";
  return optional ? `${emitter.builder.add("tail", body)}?` : body;
}
