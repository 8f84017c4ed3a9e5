/** A template of Go's package text/template that is broken, or uses what is not translated. */
export class UnsupportedTemplate extends Error {
  override readonly name = "UnsupportedTemplate";
}

/** One piece of an action: `kind` tells words from texts that look alike. */
export interface Token {
  kind: "word" | "field" | "variable" | "text" | "number" | "mark";
  value: string;
  /** No space lies before it: `.A.B` is one chain, `.A .B` are two. */
  isJoined: boolean;
}

/** Text that is printed as it is, or an action between braces. */
export type Piece = { kind: "text"; text: string } | { kind: "action"; tokens: readonly Token[] };

const MAX_PIECES = 10_000;
/** Of one action, so that no action is nested deeply. */
const MAX_PARENTHESES = 64;

/** Splits a template; space beside `{{-` and `-}}` is gone, and so are comments. */
export function scanTemplate(source: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimsNext = false;
  for (;;) {
    const open = source.indexOf("{{", at);
    const end = open === -1 ? source.length : open;
    let text = source.slice(at, end);
    if (trimsNext) text = text.trimStart();
    const trimsBefore = /^\{\{-\s/.test(source.slice(end, end + 4));
    if (trimsBefore) text = text.trimEnd();
    if (text !== "") pieces.push({ kind: "text", text });
    if (open === -1) return pieces;
    if (pieces.length > MAX_PIECES) throw new UnsupportedTemplate("it has too many actions");
    const action = readAction(source, open + 2 + (trimsBefore ? 1 : 0));
    at = action.end;
    trimsNext = action.trimsAfter;
    if (action.tokens.length > 0) pieces.push({ kind: "action", tokens: action.tokens });
  }
}

interface Action {
  tokens: Token[];
  /** Behind the closing braces. */
  end: number;
  trimsAfter: boolean;
}

/** Sticky: each must match where the last one ended. */
const PATTERNS: readonly (readonly [Token["kind"] | "space", RegExp])[] = [
  ["space", /\s+|\/\*[^]*?\*\//y],
  ["text", /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y],
  ["number", /-?\d+(?:\.\d+)?/y],
  ["variable", /\$[A-Za-z0-9_]*/y],
  ["field", /\.[A-Za-z_][A-Za-z0-9_]*|\./y],
  ["word", /[A-Za-z_][A-Za-z0-9_]*/y],
  ["mark", /:=|[=|(),]/y],
];

function readAction(source: string, start: number): Action {
  const tokens: Token[] = [];
  let at = start;
  let lastEnd = -1;
  let parentheses = 0;
  for (;;) {
    if (source.startsWith("}}", at)) return { tokens, end: at + 2, trimsAfter: false };
    if (source.startsWith("-}}", at)) return { tokens, end: at + 3, trimsAfter: true };
    const found = PATTERNS.map(([kind, pattern]) => {
      pattern.lastIndex = at;
      const value = pattern.exec(source)?.[0];
      return value === undefined ? null : { kind, value };
    }).find((token) => token !== null);
    if (found === undefined || found === null)
      throw new UnsupportedTemplate(`${JSON.stringify(source.slice(at, at + 20))} is not read`);
    const { kind, value } = found;
    parentheses += value === "(" ? 1 : 0;
    if (parentheses > MAX_PARENTHESES) throw new UnsupportedTemplate("an action is too deep");
    if (kind !== "space") tokens.push({ kind, value, isJoined: at === lastEnd });
    at += value.length;
    if (kind !== "space") lastEnd = at;
  }
}

/** The characters of a quoted text. */
export function unquote(literal: string): string {
  if (literal.startsWith("`")) return literal.slice(1, -1);
  try {
    return JSON.parse(literal) as string;
  } catch {
    throw new UnsupportedTemplate(`the text ${literal.slice(0, 20)} is not read`);
  }
}
