import { AnswerWriter } from "./answer-writer.ts";
import { chatAnswer, figureLines, type ChatMessage, type ChatRequest } from "./chat-answer.ts";
import { chooseModel } from "./chat-model.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import { nearest } from "../config/nearest.ts";
import { openLinePrompt } from "./line-prompt.ts";
import type { Target } from "./server-client.ts";
import { listServerModels } from "./server-models.ts";

export interface ChatOptions {
  model: string;
  systemPrompt: string | null;
  reasoning: ChatRequest["reasoning"];
  stats: boolean;
  ttlSeconds: number | null;
}

const STOPPED = new ExitError(EXIT.failed, "The answer was stopped.");
/** The exit code of a process that Ctrl-C ended. */
const INTERRUPTED = 130;

const COMMANDS: readonly (readonly [string, string])[] = [
  ["/help", "List these commands"],
  ["/clear", "Begin a new conversation"],
  ["/system <text>", "Say what the model shall be or do; begins a new conversation"],
  ["/model <name>", "Go on with another model"],
  ["/models", "List the models of the server"],
  ["/reasoning <auto|on|off>", "Whether the model thinks before it answers"],
  ["/stats", "Print figures after each answer, or no longer"],
  ["/exit", "Leave (also Ctrl-D, or Ctrl-C twice)"],
];

/** A conversation at the terminal. Ctrl-C stops an answer, twice in a row it leaves. */
export async function runChatSession(
  target: Target,
  options: ChatOptions,
  terminal: Terminal,
): Promise<number> {
  const session = new ChatSession(target, options, terminal);
  using prompt = openLinePrompt(() => session.interrupt());
  terminal.print(`Chatting with ${options.model}. /help lists the commands, Ctrl-D leaves.`);
  for (;;) {
    const line = await prompt.ask();
    if (line === null) break;
    if (!(await session.take(line.trim()))) break;
  }
  return EXIT.ok;
}

class ChatSession {
  readonly #target: Target;
  readonly #terminal: Terminal;
  readonly #options: ChatOptions;
  #messages: ChatMessage[] = [];
  #answering: AbortController | null = null;
  /** Ctrl-C since the last line. */
  #interrupts = 0;

  constructor(target: Target, options: ChatOptions, terminal: Terminal) {
    this.#target = target;
    this.#terminal = terminal;
    this.#options = { ...options };
  }

  interrupt(): void {
    this.#interrupts += 1;
    if (this.#interrupts > 1) process.exit(INTERRUPTED);
    if (this.#answering === null) this.#terminal.print("\nCtrl-C again leaves.");
    else this.#answering.abort(STOPPED);
  }

  /** @returns false when the person wants to leave. */
  async take(line: string): Promise<boolean> {
    this.#interrupts = 0;
    if (line === "") return true;
    if (/^\/(exit|quit|bye)$/.test(line)) return false;
    try {
      if (line.startsWith("/")) await this.#command(line);
      else await this.#answer(line);
    } catch (error) {
      if (!(error instanceof ExitError)) throw error;
      this.#terminal.print(error === STOPPED ? "(stopped)" : `error: ${error.message}`);
    }
    return true;
  }

  /** A question that got no whole answer is forgotten, unless a part of one was shown. */
  async #answer(content: string): Promise<void> {
    const { systemPrompt, stats, model, reasoning, ttlSeconds } = this.#options;
    const question: ChatMessage = { role: "user", content };
    const system =
      systemPrompt === null ? [] : [{ role: "system" as const, content: systemPrompt }];
    const messages = [...system, ...this.#messages, question];
    const writer = new AnswerWriter(this.#terminal);
    this.#answering = new AbortController();
    const { signal } = this.#answering;
    try {
      const request = { model, messages, ttlSeconds, reasoning };
      const figures = await writer.copy(chatAnswer(this.#target, request, signal));
      if (stats) for (const line of figureLines(figures)) this.#terminal.print(line);
    } finally {
      this.#answering = null;
      if (writer.text !== "")
        this.#messages.push(question, { role: "assistant", content: writer.text });
    }
  }

  async #command(line: string): Promise<void> {
    const [, name = "", text = ""] = /^\/(\S*)\s*(.*)$/.exec(line) ?? [];
    const options = this.#options;
    const { print } = this.#terminal;
    switch (name) {
      case "help":
        for (const [command, summary] of COMMANDS) print(`  ${command.padEnd(26)}${summary}`);
        return;
      case "clear":
        this.#messages = [];
        return print("A new conversation.");
      case "system":
        options.systemPrompt = text === "" ? null : text;
        this.#messages = [];
        return print(text === "" ? "No system prompt." : "The system prompt is set.");
      case "model":
        if (text !== "") options.model = await chooseModel(this.#target, text);
        return print(`The model is ${options.model}.`);
      case "models":
        for (const { key, type } of await listServerModels(this.#target))
          if (type === "llm") print(`  ${key}`);
        return;
      case "reasoning":
        if (text === "auto" || text === "on" || text === "off") options.reasoning = text;
        else if (text !== "") return print("/reasoning takes auto, on or off.");
        return print(`Reasoning is ${options.reasoning}.`);
      case "stats":
        options.stats = !options.stats;
        return print(`Figures are ${options.stats ? "on" : "off"}.`);
      default: {
        const names = COMMANDS.map(([command]) => command.slice(1).split(" ")[0] ?? "");
        const near = nearest(name, names);
        print(`There is no /${name}. ${near === null ? "See /help." : `Did you mean /${near}?`}`);
      }
    }
  }
}
