import { DEFAULT_CHAT_OPTIONS, type ChatOptions, type Message } from "../conversation.ts";
import type { ToolFormat } from "../formats/format.ts";
import { createParser } from "../parser/parser.ts";
import { parseJson } from "../parser/json-value.ts";

const USER_TEXT = "probe question";
const NAMES = ["probe_first", "probe_second"] as const;
const WORD = "probe value";
const NUMBER = 7;

const PARAMETERS = {
  type: "object",
  properties: {
    word: { type: "string", description: "A word." },
    number: { type: "integer", description: "A number." },
  },
  required: ["word"],
};

const PROBE_TOOLS = NAMES.map((name) => ({
  name,
  description: "A probe.",
  parameters: PARAMETERS,
  strict: false,
}));

/** A conversation whose last turn calls both tools, or only the first. */
export function probeConversation(calls: 1 | 2): readonly Message[] {
  const common = { reasoning: null, toolCallId: null, name: null };
  return [
    { ...common, role: "user", content: [{ type: "text", text: USER_TEXT }], toolCalls: [] },
    {
      ...common,
      role: "assistant",
      content: null,
      toolCalls: NAMES.slice(0, calls).map((name, index) => ({
        id: `00000000${index + 1}`,
        name,
        arguments: JSON.stringify({ word: WORD, number: NUMBER }),
      })),
    },
  ];
}

export const PROBE_OPTIONS: ChatOptions = {
  ...DEFAULT_CHAT_OPTIONS,
  tools: PROBE_TOOLS,
  toolChoice: { kind: "auto", allowed: null },
  addGenerationPrompt: false,
};

/** What a rendered probe says about one format; higher is better, field by field. */
export interface ProbeFit {
  calls: number;
  /** Characters of text that were left over, negated. */
  leftover: number;
  /** The calls begin as the format's own templates write them, not only as it reads them. */
  isNative: boolean;
  /** Length of the name's own end mark where the text has it. */
  exactness: number;
}

/** How well a format reads the calls of a rendered probe; null = it does not. */
export function probeFit(rendered: string, format: ToolFormat): ProbeFit | null {
  const turn = rendered.slice(rendered.lastIndexOf(USER_TEXT) + USER_TEXT.length);
  const start = callStart(turn, format);
  if (start === null) return null;
  const parser = createParser({
    format,
    reasoning: null,
    tools: PROBE_TOOLS,
    parallel: true,
    newId: () => "",
  });
  const names: string[] = [];
  const texts: string[] = [];
  let leftover = 0;
  for (const event of [...parser.push(turn.slice(start)), ...parser.end(false)]) {
    if (event.type === "text") leftover += event.text.length;
    if (event.type === "toolCall") names.push(event.name);
    if (event.type === "toolArguments")
      texts[event.index] = (texts[event.index] ?? "") + event.text;
  }
  const isFaithful =
    names.length > 0 && names.every((name, index) => name === NAMES[index]) && texts.every(isProbe);
  if (!isFaithful) return null;
  const isNative = turn.startsWith(startTexts(format)[0] ?? "", start);
  return { calls: names.length, leftover: -leftover, isNative, exactness: exactness(turn, format) };
}

function isProbe(text: string): boolean {
  const parsed = parseJson(text);
  if (parsed === null || typeof parsed.value !== "object" || parsed.value === null) return false;
  const values = new Map(Object.entries(parsed.value));
  return values.size === 2 && values.get("word") === WORD && values.get("number") === NUMBER;
}

/** Where an answer in this format would begin within a rendered turn. */
function callStart(turn: string, format: ToolFormat): number | null {
  const places = startTexts(format).map((text) => turn.indexOf(text));
  const found = places.filter((place) => place !== -1);
  return found.length === 0 ? null : Math.min(...found);
}

function startTexts(format: ToolFormat): readonly string[] {
  switch (format.kind) {
    case "channels":
      return [format.channel, format.recipient + format.namePrefix];
    case "recipients":
      return [`${NAMES[0]}\n`];
    case "bareJson":
      return [...format.openers, '{"name"', '{"type"', '{ "name"'];
    default:
      return format.openers.length > 0 ? format.openers : headers(format);
  }
}

const headers = (format: ToolFormat): readonly string[] =>
  format.kind === "tagged" && format.header !== null ? [format.header.before] : [];

function exactness(turn: string, format: ToolFormat): number {
  if (format.kind !== "tagged" && format.kind !== "namedJson") return 0;
  return turn.includes(NAMES[0] + format.nameEnd) ? format.nameEnd.length : -1;
}
