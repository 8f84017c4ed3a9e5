import { MAX_LOG_LINE_BYTES } from "../lib/limits.ts";
import type { Log, LogFields, LogLevel } from "../lib/log.ts";

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, none: 4 };

/** Characters that move the cursor, turn the text's direction or end a line in some reader. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Longest single value, in characters. */
const MAX_VALUE = 2_048;

export interface LogOptions {
  format: "text" | "json";
  /** Asked at each line, so that it can be changed while running. */
  level: () => LogLevel;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
  /** Takes one line with its line end. Must not wait. */
  write: (line: string) => void;
  /** Is told the same; asks for the text only when it wants it. */
  watch?: (level: Exclude<LogLevel, "none">, text: () => string) => void;
}

/** A log that writes one bounded line per event, whatever the fields hold. */
export function createLog({ format, level, now, write, watch }: LogOptions): Log {
  const line = format === "json" ? jsonLine : textLine;
  const log = (at: Exclude<LogLevel, "none">) => (message: string, fields?: LogFields) => {
    if (RANK[at] < RANK[level()]) return;
    write(`${line(now(), at, message, fields ?? {})}\n`);
    watch?.(at, () => eventText(message, fields ?? {}));
  };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

function textLine(nowMs: number, level: LogLevel, message: string, fields: LogFields): string {
  const head = [new Date(nowMs).toISOString(), level.padEnd(5)];
  return cut([...head, eventText(message, fields)].join(" "));
}

function eventText(message: string, fields: LogFields): string {
  const parts = [escape(clip(message))];
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined && value !== null) parts.push(`${escape(key)}=${textValue(value)}`);
  }
  return parts.join(" ");
}

function textValue(value: string | number | boolean): string {
  if (typeof value !== "string") return String(value);
  const clipped = clip(value);
  return /^[\w./:@+-]+$/.test(clipped) ? clipped : escape(JSON.stringify(clipped));
}

function jsonLine(nowMs: number, level: LogLevel, message: string, fields: LogFields): string {
  const head = { time: new Date(nowMs).toISOString(), level, message: clip(message) };
  const clipped = Object.entries(fields).map(
    ([key, value]) => [key, typeof value === "string" ? clip(value) : value] as const,
  );
  // The fixed keys come last: no field may take their place.
  const whole = escape(JSON.stringify({ ...Object.fromEntries(clipped), ...head }));
  if (Buffer.byteLength(whole) < MAX_LOG_LINE_BYTES) return whole;
  return escape(JSON.stringify({ ...head, message: head.message.slice(0, 512), truncated: true }));
}

const clip = (text: string): string =>
  text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}...` : text;

const escape = (text: string): string => text.replaceAll(UNSAFE, escapeUnits).toWellFormed();

/** As JSON writes it: one escape per UTF-16 unit. */
function escapeUnits(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}

function cut(line: string): string {
  if (Buffer.byteLength(line) < MAX_LOG_LINE_BYTES) return line;
  // A character has at most three bytes per UTF-16 unit.
  return `${line.slice(0, Math.floor(MAX_LOG_LINE_BYTES / 3) - 4).toWellFormed()}...`;
}
