import type { ToolCall } from "./conversation.ts";

/** How a template wants the ids of calls and of the results that answer them. */
export type CallIdStyle = "client" | "nine" | "indexed";

/**
 * Mistral's templates refuse other ids than nine letters or digits. Kimi K2's print the id where the
 * model learnt `functions.NAME:INDEX`.
 */
export function callIdStyle(source: string): CallIdStyle {
  if (/length\s*!=\s*9\b/.test(source)) return "nine";
  return source.includes("<|tool_call_begin|>") && source.includes("<|tool_call_argument_begin|>")
    ? "indexed"
    : "client";
}

const NINE = /^[a-zA-Z0-9]{9}$/;
const INDEXED = /^functions\.[^:]+:\d+$/;
const SYMBOLS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Ids of one conversation in the template's style; equal histories give equal ids. */
export class CallIds {
  readonly #style: CallIdStyle;
  readonly #known = new Map<string, string>();
  #count = 0;

  constructor(style: CallIdStyle) {
    this.#style = style;
  }

  /** The id of a call of an assistant turn, in the order of the conversation. */
  ofCall({ id, name }: ToolCall): string {
    const index = this.#count++;
    const styled = this.#styled(id, name, index);
    this.#known.set(id, styled);
    return styled;
  }

  /** The id a result answers; results of unknown calls get one of the same style. */
  ofResult(id: string, name: string | null): string {
    return this.#known.get(id) ?? this.#styled(id, name ?? "unknown", this.#count);
  }

  #styled(id: string, name: string, index: number): string {
    if (this.#style === "nine") return NINE.test(id) ? id : nineOf(id === "" ? `${index}` : id);
    if (this.#style === "indexed") return INDEXED.test(id) ? id : `functions.${name}:${index}`;
    return id;
  }
}

/** Nine symbols that depend on the whole text, by rounds of the FNV-1a hash. */
function nineOf(text: string): string {
  let id = "";
  let state = 0x811c9dc5;
  for (const round of [0, 1, 2, 3, 4, 5, 6, 7, 8]) {
    for (const char of `${round}${text}`) {
      state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    }
    id += SYMBOLS[(state >>> 8) % SYMBOLS.length];
  }
  return id;
}
