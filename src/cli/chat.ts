import * as numbers from "../config/number-settings.ts";
import * as words from "../config/word-settings.ts";
import { chatAnswer, figureLines, type ChatMessage } from "./chat-answer.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { chooseModel } from "./chat-model.ts";
import { runChatSession } from "./chat-session.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { watchInterrupt } from "./interrupt.ts";
import { CLIENT_FLAGS, findServer } from "./server-client.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  prompt: words.textSetting({
    flag: "prompt",
    short: "p",
    argument: "<text>",
    flagOnly: true,
    help: "Ask this and print the answer; what stands on stdin is added",
  }),
  systemPrompt: words.textSetting({
    flag: "system-prompt",
    short: "s",
    argument: "<text>",
    flagOnly: true,
    help: "What the model shall be or do",
  }),
  stats: words.flagSetting({
    flag: "stats",
    fallback: false,
    flagOnly: true,
    help: "Print figures after the answer",
  }),
  ttl: numbers.autoIntegerSetting({
    flag: "ttl",
    minimum: 1,
    maximum: 2_000_000,
    flagOnly: true,
    help: "Idle seconds before a model loaded by this chat is unloaded (default: the server's)",
  }),
  reasoning: words.choiceSetting({
    flag: "reasoning",
    words: ["auto", "on", "off"],
    fallback: "auto",
    flagOnly: true,
    help: "Whether the model thinks before it answers",
  }),
  ...CLIENT_FLAGS,
  // Here -p is the prompt, as in LM Studio's command line.
  port: { ...CLIENT_FLAGS.port, short: null },
};

/** `lmserver chat [model]`: one answer with `-p` or piped text, else a conversation. */
export const chat: Command = {
  settings: FLAGS,
  operands: "[model]",
  async run(args, terminal) {
    const { values, operands } = parseVerb(FLAGS, args, terminal.env, { operands: 1 });
    const { systemPrompt, reasoning, stats, ttl: ttlSeconds } = values;
    const prompt = await readPrompt(values.prompt, terminal);
    const target = findServer(values, terminal);
    const model = await chooseModel(target, operands[0]);
    if (prompt === null) {
      if (values.json) throw new ExitError(EXIT.usage, "--json needs a prompt: use -p");
      const options = { model, systemPrompt, reasoning, stats, ttlSeconds };
      return runChatSession(target, options, terminal);
    }
    const messages: ChatMessage[] = [
      ...(systemPrompt === null ? [] : [{ role: "system" as const, content: systemPrompt }]),
      { role: "user", content: prompt },
    ];
    using interrupt = watchInterrupt("The answer was stopped.");
    const request = { model, messages, ttlSeconds, reasoning };
    const pieces = chatAnswer(target, request, interrupt.signal);
    const writer = new AnswerWriter(values.json ? null : terminal);
    const figures = await writer.copy(pieces);
    if (values.json) {
      const { text: content, reasoning: thought } = writer;
      terminal.print(JSON.stringify({ model, content, reasoning: thought, stats: figures }));
    } else if (stats) for (const line of figureLines(figures)) terminal.note(line);
    return EXIT.ok;
  },
};

/** The text given, and below it what is piped in. null = neither: a person wants to talk. */
async function readPrompt(
  given: string | null,
  { isTty, readInput }: Terminal,
): Promise<string | null> {
  if (isTty.stdin) return given;
  const piped = (await readInput()).trimEnd();
  const prompt = [given ?? "", piped].filter((part) => part !== "").join("\n\n");
  if (prompt === "") throw new ExitError(EXIT.usage, "There is no prompt: use -p, or a terminal.");
  return prompt;
}
