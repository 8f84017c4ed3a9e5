import { defined } from "../../lib/assert.ts";
import type { ToolFormat } from "./format.ts";
import { BARE_JSON_FORMATS, JSON_FORMATS } from "./json-formats.ts";
import { LITERAL_FORMATS } from "./literal-formats.ts";
import { NAMED_JSON_FORMATS } from "./named-json-formats.ts";
import { TAGGED_FORMATS } from "./tagged-formats.ts";

/** For models without tool calls of their own; its instructions stand in the system prompt. */
const FALLBACK_FORMAT_NAME = "tool-request";

/** Every known surface form of a tool call. Where several read the same text, the first is meant. */
export const TOOL_FORMATS: readonly ToolFormat[] = [
  ...JSON_FORMATS,
  ...NAMED_JSON_FORMATS,
  ...TAGGED_FORMATS,
  ...LITERAL_FORMATS,
  ...BARE_JSON_FORMATS,
];

const BY_NAME = new Map(TOOL_FORMATS.map((format) => [format.name, format]));

/** The format of this name, or null. */
export function findFormat(name: string): ToolFormat | null {
  return BY_NAME.get(name) ?? null;
}

export const FALLBACK_FORMAT: ToolFormat = defined(
  findFormat(FALLBACK_FORMAT_NAME),
  "the fallback format is in the table",
);
