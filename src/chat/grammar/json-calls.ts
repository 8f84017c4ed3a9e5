import type {
  BareJsonFormat,
  ChannelsFormat,
  JsonFormat,
  NamedJsonFormat,
  RecipientsFormat,
} from "../formats/format.ts";
import { choice, jsonLiteral, literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { jsonRule } from "./json-rules.ts";
import {
  anyCall,
  callList,
  identifier,
  piece,
  spaced,
  type CallableTool,
  type CallContext,
  type SectionStart,
} from "./tool-section.ts";

/** `{"name": .., "arguments": {..}}` behind a marker. */
export function jsonSections(context: CallContext, format: JsonFormat): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  const call = anyCall(context, (tool) => jsonCall(context, format, tool));
  return format.openers.map((opener) => {
    const close = closing(context, format, opener);
    if (!format.section) {
      const next = sequence(ws, literal(opener), ws, call, close);
      const rest = sequence(ws, call, close, context.parallel ? `( ${next} )*` : "");
      return { opener, rest };
    }
    if (!format.array) return { opener, rest: sequence(ws, callList(context, call, ws), close) };
    const list = callList(context, call, jsonRule(builder, "comma"));
    return { opener, rest: sequence(ws, '"["', ws, list, ws, '"]"', close) };
  });
}

/** What ends a call or section; one that began with another family's `<tag>` may end with its twin. */
function closing({ builder }: CallContext, format: JsonFormat, opener: string): string {
  if (format.close === null) return "";
  const twin =
    opener !== format.openers[0] && /^<\w+>$/.test(opener) ? `</${opener.slice(1)}` : null;
  const ends = [format.close, ...(twin === null ? [] : [twin])];
  return sequence(jsonRule(builder, "ws"), choice(ends.map(literal)));
}

function jsonCall(
  { builder }: CallContext,
  format: JsonFormat,
  { tool, arguments: args }: CallableTool,
): string {
  const colon = jsonRule(builder, "colon");
  const name = jsonLiteral(tool.name);
  const members =
    format.nameKey === null
      ? [sequence(name, colon, args.json())]
      : [
          sequence(jsonLiteral(format.nameKey), colon, name),
          sequence(jsonLiteral(format.argumentsKey), colon, args.json()),
        ];
  if (format.id !== null) {
    const quoted = sequence('"\\""', identifier(format.idStyle), '"\\""');
    const member = sequence(jsonLiteral(format.id.key), colon, quoted);
    if (format.id.position === "first") members.unshift(member);
    else members.push(member);
  }
  return jsonObject(builder, members);
}

function jsonObject(builder: GrammarBuilder, members: readonly string[]): string {
  const ws = jsonRule(builder, "ws");
  const comma = jsonRule(builder, "comma");
  return sequence('"{"', ws, members.join(` ${comma} `), ws, '"}"');
}

/** A JSON call that is the answer itself. */
export function bareJsonSections(context: CallContext, format: BareJsonFormat): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  const colon = jsonRule(builder, "colon");
  const comma = jsonRule(builder, "comma");
  const kind = `( ${sequence(jsonLiteral("type"), colon, jsonLiteral("function"), comma)} )?`;
  const call = anyCall(context, ({ tool, arguments: args }) =>
    jsonObject(builder, [
      sequence(kind, jsonLiteral(format.nameKey), colon, jsonLiteral(tool.name)),
      sequence(jsonLiteral(format.argumentsKey), colon, args.json()),
    ]),
  );
  const list = callList(context, call, sequence(ws, literal(format.separator.trim()), ws));
  const opened = format.openers.map((opener) => ({
    opener,
    rest: sequence(ws, list, spaced(builder, format.close)),
  }));
  return [...opened, { opener: "", rest: list }];
}

/** The name between markers, then one JSON object. */
export function namedJsonSections(context: CallContext, format: NamedJsonFormat): SectionStart[] {
  const { builder } = context;
  const ws = jsonRule(builder, "ws");
  // Everything after `callStart`.
  const body = anyCall(context, (tool) => namedJsonCall(context, format, tool));
  const call = sequence(literal(format.callStart), body);
  const end = spaced(builder, format.sectionEnd);
  return format.openers.map((opener) => {
    if (opener === format.sectionStart) {
      return { opener, rest: sequence(ws, callList(context, call, ws), end) };
    }
    const more = context.parallel ? `( ${sequence(ws, call)} )*` : "";
    return { opener, rest: sequence(body, more, end === "" ? "" : `( ${end} )?`) };
  });
}

function namedJsonCall(
  { builder }: CallContext,
  format: NamedJsonFormat,
  { tool, arguments: args }: CallableTool,
): string {
  const id = identifier(format.idStyle);
  return sequence(
    format.idEnd === null ? "" : sequence(id, literal(format.idEnd)),
    piece(format.namePrefix),
    literal(tool.name),
    format.idStyle === "indexed" ? sequence('":"', id) : "",
    format.idStart === null ? "" : sequence(literal(format.idStart), id),
    literal(format.nameEnd),
    args.json(),
    piece(format.argumentsEnd),
    spaced(builder, format.callEnd),
  );
}

/** `NAME\n{..}`, further calls behind a separator. */
export function recipientSections(context: CallContext, format: RecipientsFormat): SectionStart[] {
  const call = anyCall(context, ({ tool, arguments: args }) =>
    sequence(literal(`${tool.name}\n`), args.json()),
  );
  return [{ opener: "", rest: callList(context, call, literal(format.separator)) }];
}

/** The header of a message to a tool, then one JSON object. Begins with the recipient. */
export function channelSections(context: CallContext, format: ChannelsFormat): SectionStart[] {
  const to = format.recipient + format.namePrefix;
  const channel = `( ${literal(format.channel)} ( "commentary" | "analysis" ) )`;
  const type = `( " "? ${literal(format.constrain)} "json" | " json" )?`;
  const call = anyCall(context, ({ tool, arguments: args }) =>
    sequence(literal(tool.name), `${channel}?`, type, literal(format.body), args.json()),
  );
  return [
    { opener: to, rest: call },
    { opener: "", rest: sequence(channel, literal(to), call) },
  ];
}
