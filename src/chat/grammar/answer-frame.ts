import type { ToolFormat } from "../formats/format.ts";
import { choice, literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import { textUntil } from "./until-grammar.ts";

/** How reasoning stands when the answer begins. */
export interface ReasoningState {
  start: string;
  end: string;
  /**
   * `open`: the prompt ends inside it. `possible`: the model may begin with it. `closed`: the
   * prompt already holds its end, or reasoning is switched off.
   */
  state: "open" | "possible" | "closed";
}

/** Role that a family's own message headers name. */
const ROLE = "assistant";

/** A JSON answer inside what the family writes around text. */
export function answerInFrame(builder: GrammarBuilder, format: ToolFormat, value: string): string {
  switch (format.kind) {
    case "channels": {
      const type = `( " "? ${literal(format.constrain)} "json" | " json" )?`;
      return sequence(literal(`${format.channel}final`), type, literal(format.body), value);
    }
    case "recipients":
      return sequence(literal(`${format.textName}\n`), value);
    case "tagged":
      if (format.header !== null) {
        return sequence(literal(`${format.header.before}user${format.header.after}`), value);
      }
      return amongNoise(builder, format, value);
    default:
      return amongNoise(builder, format, value);
  }
}

/** The markers around text are optional: not every model of a family writes them. */
function amongNoise(builder: GrammarBuilder, format: ToolFormat, value: string): string {
  const wrapped = inWrapper(builder, format, value);
  if (format.noise.length === 0) return wrapped;
  const mark = builder.add("mark", format.noise.map(literal).join(" | "));
  const ws = jsonRule(builder, "ws");
  return sequence(`( ${mark} ${ws} ){0,2}`, wrapped, `( ${ws} ${mark} ){0,2}`);
}

/** With both markers of the pair or none: one of them alone would be left in the answer. */
function inWrapper(builder: GrammarBuilder, { wrapper }: ToolFormat, value: string): string {
  if (wrapper === null) return value;
  const ws = jsonRule(builder, "ws");
  const [start, end] = wrapper;
  return choice([value, sequence(literal(start), ws, value, ws, literal(end))]);
}

/** What may come before an answer that is constrained from its first token: reasoning and blanks. */
export function reasoningLead(
  builder: GrammarBuilder,
  format: ToolFormat,
  reasoning: ReasoningState | null,
): string {
  if (reasoning === null) return "";
  const next = nextMessage(format);
  const blanks = next === "" ? jsonRule(builder, "ws") : "";
  const after = next === "" ? "" : literal(next);
  if (reasoning.state === "open") return sequence(after, blanks);
  if (reasoning.state === "closed") return blanks;
  const block = sequence(literal(reasoning.start), textUntil(builder, reasoning.end), after);
  return sequence(blanks, `( ${block} )?`, blanks);
}

/** What a family with messages of their own writes between reasoning and the answer. */
function nextMessage(format: ToolFormat): string {
  if (format.kind === "channels") return `${format.messageStart}${ROLE}`;
  if (format.kind !== "tagged" || format.header === null) return "";
  return format.header.next;
}
