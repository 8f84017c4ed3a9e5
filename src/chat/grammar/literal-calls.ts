import type { DictFormat, ElementsFormat, PythonFormat, TaggedFormat } from "../formats/format.ts";
import { bareNames, TAG_NAMES } from "./bare-names.ts";
import { literal, sequence, choice } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import type { JsonType } from "./schema-shape.ts";
import { bareMembers, type TaggedStyles } from "./tool-arguments.ts";
import {
  anyCall,
  callList,
  piece,
  spaced,
  type CallableTool,
  type CallContext,
  type SectionStart,
} from "./tool-section.ts";
import { dictStyle, PYTHON_STYLE } from "./literal-styles.ts";
import { cdataStyle, elementsStyle, taggedStyle } from "./markup-styles.ts";
import { untypedStyle } from "./untyped-style.ts";
import type { ValueStyle } from "./value-style.ts";

/** `f(a="x", b=1)`. */
export function pythonSections(context: CallContext, format: PythonFormat): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  const members = bareMembers({
    names: KEYWORDS,
    spell: (name) => name,
    before: "",
    after: "=",
    comma: jsonRule(builder, "comma"),
  });
  const call = anyCall(context, ({ tool, arguments: args }) =>
    sequence(literal(`${tool.name}(`), args.members(members, PYTHON_STYLE), '")"'),
  );
  const close = spaced(builder, format.close);
  const list = format.brackets
    ? sequence('"["', callList(context, call, jsonRule(builder, "comma")), ws, '"]"')
    : callList(context, call, '"\\n"');
  return format.openers.map((opener) => ({ opener, rest: sequence(ws, list, close) }));
}

/** Keywords as the parser knows them: words of letters and digits, `_`, `-` and `$`. */
const KEYWORDS = bareNames("!\"#%&'()*+,./:;<=>?@[\\]^`{|}~", false);

/** `NAME{key:value}`. */
export function dictSections(context: CallContext, format: DictFormat): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  const style = dictStyle(format.quote);
  const call = anyCall(context, ({ tool, arguments: args }) =>
    sequence(literal(tool.name), args.object(style), literal(format.close)),
  );
  return format.openers.map((opener) => {
    const next = sequence(ws, literal(opener), call);
    return { opener, rest: sequence(call, context.parallel ? `( ${next} )*` : "") };
  });
}

/** Nested elements, every tag behind a prefix. */
export function elementSections(context: CallContext, format: ElementsFormat): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  const { prefix, callTag } = format;
  const style = elementsStyle(prefix, format.itemTag);
  const call = anyCall(context, ({ tool, arguments: args }) =>
    sequence(
      literal(`${prefix}<${callTag} name="${tool.name}">`),
      args.members(style, style),
      literal(`${prefix}</${callTag}>`),
    ),
  );
  const end = spaced(builder, `${prefix}</${format.sectionTag}>`);
  return format.openers.map((opener) => ({
    opener,
    rest: sequence(ws, callList(context, call, ws), end),
  }));
}

/** One tag per argument. */
export function taggedSections(context: CallContext, format: TaggedFormat): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  if (format.header !== null) return addressed(context, format, format.header);
  // From the tool's name on.
  const named = anyCall(context, (tool) => taggedCall(context, format, tool));
  const nameStart = format.nameStart === "" ? "" : sequence(ws, literal(format.nameStart));
  const call = sequence(piece(format.callStart), nameStart, named);
  const more = sequence(ws, call);
  const end = spaced(builder, format.sectionEnd);
  return format.openers.map((opener) => {
    if (opener === format.sectionStart) {
      return { opener, rest: sequence(ws, callList(context, call, ws), end) };
    }
    // The opener is the call's own beginning, or the beginning of its name.
    const first = opener === format.callStart ? sequence(nameStart, named) : named;
    const rest = context.parallel ? `( ${more} )*` : "";
    return { opener, rest: sequence(first, rest, end === "" ? "" : `( ${end} )?`) };
  });
}

/** Each call is an answer of its own that names its tool in a header. */
function addressed(
  context: CallContext,
  format: TaggedFormat,
  header: NonNullable<TaggedFormat["header"]>,
): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  const call = anyCall(context, (tool) =>
    sequence(
      literal(`${tool.tool.name}${header.after}`),
      piece(format.sectionStart),
      ws,
      literal(format.callStart),
      taggedCall(context, format, tool),
      spaced(builder, format.sectionEnd),
    ),
  );
  const separator = literal(header.end + header.next + header.before);
  return [{ opener: header.before, rest: callList(context, call, separator) }];
}

function taggedCall(context: CallContext, format: TaggedFormat, tool: CallableTool): string {
  const { builder } = context;
  // A name that only white space ends may also be ended by the next tag.
  const nameEnd = format.nameEnd.trim() === "" ? '"\\n"?' : literal(format.nameEnd);
  const tail =
    format.nameTailEnd === null
      ? ""
      : sequence(`( ${literal(' index="')} [0-9]{1,3} "\\"" )?`, literal(format.nameTailEnd));
  return sequence(
    literal(tool.tool.name),
    nameEnd,
    tail,
    taggedArguments(context, format, tool),
    spaced(builder, format.nameClose),
    spaced(builder, format.callEnd),
  );
}

function taggedArguments(
  { builder }: CallContext,
  format: TaggedFormat,
  tool: CallableTool,
): string {
  const ws = jsonRule(builder, "ws");
  const close = (format.valueNewlines ? "\n" : "") + format.valueEnd;
  // White space before a value would be part of it.
  const begin = sequence(spaced(builder, format.valueStart), format.valueNewlines ? '"\\n"' : "");
  const outer = bareMembers({
    names: TAG_NAMES,
    spell: (name) => keyText(format, name),
    before: sequence(ws, literal(format.keyStart)),
    after: format.keyEnd,
    comma: "",
  });
  return tool.arguments.tagged(valueStyles(format, close), outer, ({ text, other }) => {
    const options: string[] = [];
    if (text !== null) options.push(sequence(mark(format, "string"), begin, text));
    if (other !== null) options.push(sequence(mark(format, null), begin, other));
    return builder.add("tagged", choice(options));
  });
}

function valueStyles(format: TaggedFormat, close: string): TaggedStyles {
  const text = format.cdata ? cdataStyle(close) : taggedStyle(close);
  const typed = format.typeMark !== null;
  const mixed = (types: ReadonlySet<JsonType>): ValueStyle => {
    if (typed) return text;
    return format.cdata
      ? cdataStyle(close, types)
      : untypedStyle(taggedStyle(close, types), close, types);
  };
  return { text, mixed, typed };
}

/** What states the type before a value. */
function mark({ typeMark }: TaggedFormat, type: "string" | null): string {
  if (typeMark === null) return "";
  const string = typeMark.style === "boolean" ? "true" : "string";
  const others =
    typeMark.style === "boolean" ? ["false"] : ["number", "boolean", "object", "array", "null"];
  const stated = type === "string" ? literal(string) : choice(others.map(literal));
  return sequence(literal(typeMark.before), stated, literal(typeMark.after));
}

function keyText(format: TaggedFormat, name: string): string {
  if (!format.escaped) return name;
  return name
    .replaceAll("&", "&amp;")
    .replaceAll('"', "&quot;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
