import { Value } from "typebox/value";
import * as words from "../config/word-settings.ts";
import { LogLine, type LogEvent } from "../http/log-feed.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { watchInterrupt } from "./interrupt.ts";
import { CLIENT_FLAGS, findServer, type Target } from "./server-client.ts";
import { openStream } from "./server-request.ts";
import { sseEvents } from "./sse-events.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  source: words.choiceSetting({
    flag: "source",
    short: "s",
    words: ["model", "server"],
    fallback: null,
    flagOnly: true,
    help: "Only questions and answers, or only what the server says (default: both)",
  }),
  filter: words.listSetting({
    flag: "filter",
    argument: "<input,output>",
    flagOnly: true,
    wordSeparator: ",",
    pattern: "^(input|output)$",
    accepts: "input, output or both with a comma",
    help: "With --source model: only questions, or only answers",
  }),
  stats: words.flagSetting({
    flag: "stats",
    fallback: false,
    flagOnly: true,
    help: "Print figures of each answer (always there with --json)",
  }),
  ...CLIENT_FLAGS,
};

/** `lmserver log`: what happens in a server from now on, until Ctrl-C. */
export const log: Command = {
  settings: FLAGS,
  operands: "[stream]",
  async run(args, terminal) {
    const { values, operands } = parseVerb(FLAGS, args, terminal.env, { operands: 1 });
    if (operands[0] !== undefined && operands[0] !== "stream")
      throw new ExitError(EXIT.usage, `"stream" is the only word that may follow`);
    if (values.filter.length > 0 && values.source !== "model")
      throw new ExitError(EXIT.usage, "--filter needs --source model");
    const target = findServer(values, terminal);
    using interrupt = watchInterrupt("");
    try {
      await follow(target, { ...values, signal: interrupt.signal }, terminal);
    } catch (error) {
      if (interrupt.signal.aborted) return EXIT.ok;
      throw error;
    }
    throw new ExitError(EXIT.unreachable, "The server ended.");
  },
};

interface FollowOptions {
  source: string | null;
  filter: readonly string[];
  stats: boolean;
  json: boolean;
  quiet: boolean;
  signal: AbortSignal;
}

async function follow(
  target: Target,
  options: FollowOptions,
  { print, note }: Terminal,
): Promise<void> {
  const { source, filter, signal } = options;
  const path = `/api/lmserver/logs${source === null ? "" : `?source=${source}`}`;
  const stream = await openStream(target, { path, signal, beginsAtOnce: true });
  if (!options.quiet && !options.json) note(`Watching ${target.url}. Ctrl-C ends.`);
  for await (const data of sseEvents(stream)) {
    const line = readLine(data);
    const kind = line.data.type.split(".").at(-1) ?? "";
    if (filter.length > 0 && !filter.includes(kind)) continue;
    if (options.json) print(JSON.stringify(line));
    else print(lineText(line.timestamp, line.data, options.stats));
  }
}

function readLine(data: string): LogLine {
  let line: unknown;
  try {
    line = JSON.parse(data);
  } catch {
    line = undefined; // no schema takes it
  }
  if (Value.Check(LogLine, line) && Math.abs(line.timestamp) <= 8.64e15) return line;
  throw new ExitError(EXIT.failed, "What the server sends is no log.", {
    code: "unexpected_reply",
  });
}

const NO_TEXT = "(text only when the server runs with --log-content)";

function lineText(timestamp: number, event: LogEvent, withStats: boolean): string {
  const time = new Date(timestamp).toISOString();
  if (event.type === "server.log") return `${time} ${event.level.padEnd(5)} ${event.content}`;
  if (event.type === "llm.prediction.input")
    return `${time} input to ${event.modelIdentifier}: ${event.input ?? NO_TEXT}`;
  const text = `${time} output of ${event.modelIdentifier}: ${event.output ?? NO_TEXT}`;
  return withStats ? `${text}\n  ${figuresText(event.stats)}` : text;
}

function figuresText(stats: Extract<LogEvent, { type: "llm.prediction.output" }>["stats"]): string {
  return [
    `stop ${stats.stopReason}`,
    `${stats.tokensPerSecond.toFixed(2)} tokens/s`,
    `first token after ${stats.timeToFirstTokenSec.toFixed(3)} s`,
    `${stats.promptTokensCount} + ${stats.predictedTokensCount} tokens`,
  ].join(", ");
}
