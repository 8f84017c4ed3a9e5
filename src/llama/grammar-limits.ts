/** The parser calls itself for each open group, and follows rules as deep as they refer on. */
const MAX_NESTING = 256;
const MAX_RULES = 20_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** Why a grammar must not reach llama.cpp's parser, or null: what would exhaust its stack. */
export function grammarProblem(gbnf: string): string | null {
  if (gbnf.trim() === "") return "it is empty";
  if (gbnf.includes("\0")) return "it holds a NUL";
  if (gbnf.length > MAX_BYTES) return `it is longer than ${MAX_BYTES} characters`;
  if (gbnf.split("::=").length - 1 > MAX_RULES) return `it has more than ${MAX_RULES} rules`;
  if (nesting(gbnf) > MAX_NESTING) return `its groups are nested deeper than ${MAX_NESTING}`;
  return null;
}

/** Whether the grammar names tokens, `<[12]>` or `<name>`, besides text. */
export function namesTokens(gbnf: string): boolean {
  for (const character of syntax(gbnf)) if (character === "<") return true;
  return false;
}

/** Whether a class such as `[^\u00e9]` excludes a character of several bytes; true when in doubt. */
export function excludesWideCharacters(gbnf: string): boolean {
  const classes = gbnf.match(/\[\^(?:\\[\s\S]|[^\]\\])*/g) ?? [];
  return classes.some((text) => /[^\x00-\x7F]|\\[uU]|\\x[89a-fA-F]/.test(text));
}

/** Deepest nesting of parentheses. */
function nesting(gbnf: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of syntax(gbnf)) {
    if (character === "(") deepest = Math.max(deepest, ++depth);
    else if (character === ")") depth--;
  }
  return deepest;
}

/** The characters outside literals, character classes and comments. */
function* syntax(gbnf: string): Generator<string> {
  let closing: string | null = null;
  for (let index = 0; index < gbnf.length; index++) {
    const character = gbnf.charAt(index);
    if (closing !== null) {
      if (character === "\\" && closing !== "\n") index++;
      else if (character === closing) closing = null;
    } else if (character === '"') closing = '"';
    else if (character === "[") closing = "]";
    else if (character === "#") closing = "\n";
    else yield character;
  }
}
