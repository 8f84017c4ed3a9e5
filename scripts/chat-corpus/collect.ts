import type { ParseEvent } from "../../src/chat/parser/parse-event.ts";
import type { Parser } from "../../src/chat/parser/parser.ts";

/** A whole answer. `args` is the value of the arguments' JSON, or their text where it is none. */
export interface Answer {
  text: string;
  reasoning: string;
  calls: { name: string; args: unknown; id: string }[];
}

/** Feeds an output in chunks of `size` characters (0 = whole) and puts the events together. */
export function collect(parser: Parser, output: string, size: number): Answer {
  const events: ParseEvent[] = [];
  const step = size === 0 ? Math.max(output.length, 1) : size;
  for (let at = 0; at < output.length; at += step) {
    events.push(...parser.push(output.slice(at, at + step)));
  }
  events.push(...parser.end(false));
  return assemble(events);
}

function assemble(events: readonly ParseEvent[]): Answer {
  let text = "";
  let reasoning = "";
  const calls: { name: string; json: string; id: string }[] = [];
  for (const event of events) {
    if (event.type === "text") text += event.text;
    else if (event.type === "reasoning") reasoning += event.text;
    else if (event.type === "toolCall") calls.push({ name: event.name, json: "", id: event.id });
    else {
      const call = calls[event.index];
      if (call === undefined) throw new Error(`event of an unknown call: ${event.index}`);
      if (event.type === "toolArguments") call.json += event.text;
      else call.id = event.lateId ?? call.id;
    }
  }
  return {
    text: text.trim(),
    reasoning: reasoning.trim(),
    calls: calls.map(({ name, json, id }) => ({ name, args: valueOf(json), id })),
  };
}

/** The value of JSON text, or the text where it is none. */
export function valueOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
