import type { Setting } from "../config/setting.ts";

/** What may follow a flag, as far as a shell can offer it. */
export interface Offer {
  kind: "none" | "words" | "files" | "folders" | "any";
  /** Empty unless `kind` is "words". */
  words: readonly string[];
}

export interface CompletionFlag {
  /** Without dashes. */
  name: string;
  /** One letter, or null. */
  short: string | null;
  help: string;
  offer: Offer;
}

export interface CompletionVerb {
  name: string;
  summary: string;
  flags: readonly CompletionFlag[];
  /** Words that may follow the verb itself. */
  words: readonly string[];
  /** Its operand is a file. */
  takesFile: boolean;
}

/** Each flag of a verb; a switch that is on by default is offered as `--no-x`. */
export function completionFlags(settings: Readonly<Record<string, Setting>>): CompletionFlag[] {
  return Object.values(settings).map(({ flag, short, help, argument, fallback }) => {
    const isOn = argument === null && fallback === true;
    const name = isOn ? `no-${flag}` : flag;
    return { name, short, help: isOn ? `Do not: ${help}` : help, offer: offerOf(argument) };
  });
}

/** Lower-case words of an operand text such as `create | ls | rm <id>`. */
export function operandWords(operands: string): string[] {
  if (!operands.includes("|")) return [];
  return operands.split("|").flatMap((part) => /^ ?([a-z]+)\b/.exec(part)?.[1] ?? []);
}

/** Words of arguments that stand for something else. */
const PLACEHOLDERS = ["n", "size", "0..1"];

/** Out of the text that help shows, such as `<text|json>` or `<folder>`. */
function offerOf(argument: string | null): Offer {
  if (argument === null) return { kind: "none", words: [] };
  if (argument === "<file>") return { kind: "files", words: [] };
  if (argument === "<folder>") return { kind: "folders", words: [] };
  if (!argument.includes("|")) return { kind: "any", words: [] };
  const words = argument.slice(1, -1).split("|");
  return { kind: "words", words: words.filter((word) => !PLACEHOLDERS.includes(word)) };
}
