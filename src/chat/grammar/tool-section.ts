import type { ToolFormat } from "../formats/format.ts";
import { choice, literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import type { NamedTool, ToolArguments } from "./tool-arguments.ts";

/** A tool and the rules of its arguments. */
export interface CallableTool extends NamedTool {
  arguments: ToolArguments;
}

/** All that spelling calls needs. */
export interface CallContext {
  builder: GrammarBuilder;
  tools: readonly CallableTool[];
  /** Several calls in one answer. */
  parallel: boolean;
}

/** A way for calls to begin. */
export interface SectionStart {
  /** The text that begins them; "" = the calls begin at once. */
  opener: string;
  /** GBNF of everything after the opener. */
  rest: string;
}

/** The call of each tool as one rule. */
export function anyCall(context: CallContext, write: (tool: CallableTool) => string): string {
  const calls = context.tools.map((tool) =>
    context.builder.add(`call-${tool.tool.name}`, write(tool)),
  );
  return context.builder.add("call", calls.join(" | "));
}

/** One call, or several with `separator` between them. */
export function callList(context: CallContext, call: string, separator: string): string {
  return context.parallel ? sequence(call, `( ${sequence(separator, call)} )*`) : call;
}

/** GBNF of an identifier in the family's style; "" when the model writes none. */
export function identifier(style: ToolFormat["idStyle"]): string {
  switch (style) {
    case "none":
      return "";
    case "indexed":
    case "counter":
      return "[0-9]{1,3}";
    case "nine":
      return "[a-zA-Z0-9]{9}";
    default:
      return "[a-zA-Z0-9_-]{1,24}";
  }
}

/** A literal, or nothing where the piece is empty or null. */
export function piece(text: string | null): string {
  return text === null || text === "" ? "" : literal(text);
}

/** The literal with optional white space before it; nothing where the piece is empty or null. */
export function spaced(builder: GrammarBuilder, text: string | null): string {
  return text === null || text === "" ? "" : sequence(jsonRule(builder, "ws"), literal(text));
}

/** All ways to begin, opener included, as one expression. */
export function wholeSection(starts: readonly SectionStart[]): string {
  return choice(starts.map(({ opener, rest }) => sequence(piece(opener), rest)));
}
