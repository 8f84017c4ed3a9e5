import { quoted } from "./quoted.ts";
import { UnsupportedTemplate } from "./scan.ts";

/** Widths and precisions beyond this make text of nothing. */
const MAX_WIDTH = 100;

const VERB =
  /%(?<flags>[-+0]*)(?<width>\d*)(?<precision>\.\d*)?(?:\[(?<index>\d+)\])?(?<verb>[a-zA-Z%])/y;

/** A value of a template as a Jinja expression. */
export interface Operand {
  /** The value itself. */
  value: string;
  /** How Go prints it. */
  text: string;
}

/**
 * What `printf` prints, as a Jinja expression. The verbs `v s q t d f F e` are known, with width,
 * precision, the flags `-+0` and argument indexes; everything else, and a format that does not suit its
 * operands, is not translated. Two things differ: `%q` writes control characters as JSON does, and
 * halves such as 0.125 are rounded up. Source: Go, package fmt.
 * @throws UnsupportedTemplate
 */
export function printfExpression(format: string, operands: readonly Operand[]): string {
  const parts: string[] = [];
  let plain = "";
  let next = 0;
  let isIndexed = false;
  const flush = (): void => {
    if (plain !== "") parts.push(quoted(plain));
    plain = "";
  };
  for (let at = 0; at < format.length;) {
    if (format[at] !== "%") {
      plain += format[at];
      at += 1;
      continue;
    }
    VERB.lastIndex = at;
    const found = VERB.exec(format);
    if (found === null) throw new UnsupportedTemplate("a verb of printf is not read");
    at = VERB.lastIndex;
    const { verb = "", index, flags = "", width = "", precision = "" } = found.groups ?? {};
    if (verb === "%") {
      plain += "%";
      continue;
    }
    if (index !== undefined) {
      next = Number(index) - 1;
      isIndexed = true;
    }
    const operand = operands[next];
    if (operand === undefined) throw new UnsupportedTemplate("printf lacks an operand");
    next += 1;
    flush();
    parts.push(verbExpression(verb, { flags, width, precision }, operand));
  }
  flush();
  if (!isIndexed && next < operands.length)
    throw new UnsupportedTemplate("printf has an operand too many");
  return parts.length === 0 ? '""' : `(${parts.join(" ~ ")})`;
}

interface Shape {
  flags: string;
  width: string;
  precision: string;
}

function verbExpression(verb: string, shape: Shape, { value, text }: Operand): string {
  const { flags, width, precision } = shape;
  if (Number(width) > MAX_WIDTH || Number(precision.slice(1)) > MAX_WIDTH)
    throw new UnsupportedTemplate("a width of printf is too large");
  const isPlain = flags + width + precision === "";
  const asText = (content: string): string => {
    if (isPlain) return content;
    if (/[+0]/.test(flags)) throw new UnsupportedTemplate("a flag of printf is not read");
    return formatted("s", shape, content);
  };
  switch (verb) {
    case "v":
    case "s":
    case "t":
      return asText(text);
    case "q":
      if (precision !== "") throw new UnsupportedTemplate("a precision of printf is not read");
      return asText(`(${text} | tojson)`);
    case "d":
      if (precision !== "") throw new UnsupportedTemplate("a precision of printf is not read");
      return isPlain ? `(${value} | int)` : formatted("d", shape, `(${value} | int)`);
    case "f":
    case "F":
    case "e":
      return formatted(verb, shape, `(${value} | float)`);
    default:
      throw new UnsupportedTemplate(`the verb %${verb} is not known`);
  }
}

/** Python's formatting with the percent sign agrees with Go's on what gets here. */
function formatted(verb: string, { flags, width, precision }: Shape, value: string): string {
  // A minus overrides a zero in both; a lone point is a precision of 0.
  const digits = precision === "." ? ".0" : precision;
  return `("%${flags}${width}${digits}${verb}" | format(${value}))`;
}
