import type { Command, EmbedInput, JobPrompt } from "../protocol/commands.ts";

/** The commands that open a job. */
export type JobCommand = Extract<Command, { type: "generate" | "embed" | "tokenize" | "inspect" }>;

interface Entry {
  command: JobCommand;
  bytes: number;
}

/**
 * Job commands on their way to one engine, in order. Sending to a stopped process never refuses and
 * would grow this process without bound, so at most `limitBytes` are sent ahead of what the engine
 * says it has read; the rest waits here. A single larger command goes when nothing is unread.
 */
export class CommandWindow {
  readonly #limitBytes: number;
  readonly #send: (command: JobCommand) => void;
  #waiting: Entry[] = [];
  #unread: Entry[] = [];
  #unreadBytes = 0;

  constructor(limitBytes: number, send: (command: JobCommand) => void) {
    this.#limitBytes = limitBytes;
    this.#send = send;
  }

  /** Estimated bytes sent and not yet read. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  push(command: JobCommand): void {
    this.#waiting.push({ command, bytes: commandBytes(command) });
    this.#flush();
  }

  /** Takes back a command that was not sent. @returns false when it was. */
  withdraw(jobId: number): boolean {
    const kept = this.#waiting.filter((entry) => entry.command.jobId !== jobId);
    const found = kept.length < this.#waiting.length;
    this.#waiting = kept;
    // A large command at the head may have held back smaller ones.
    if (found) this.#flush();
    return found;
  }

  /** The engine has read every command up to this job id. Job ids grow. */
  read(jobId: number): void {
    const stillUnread = this.#unread.findIndex((entry) => entry.command.jobId > jobId);
    const read = this.#unread.splice(0, stillUnread === -1 ? this.#unread.length : stillUnread);
    for (const entry of read) this.#unreadBytes -= entry.bytes;
    if (read.length > 0) this.#flush();
  }

  #flush(): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      if (this.#unread.length > 0 && this.#unreadBytes + head.bytes > this.#limitBytes) return;
      this.#waiting.shift();
      this.#unread.push(head);
      this.#unreadBytes += head.bytes;
      this.#send(head.command);
    }
  }
}

const OVERHEAD_BYTES = 1_024;
const TOKEN_BYTES = 7;

/** About the size of the command as JSON; exact enough for a bound of megabytes. */
export function commandBytes(command: JobCommand): number {
  return OVERHEAD_BYTES + contentBytes(command);
}

function contentBytes(command: JobCommand): number {
  if (command.type === "tokenize") return promptBytes(command.prompt);
  if (command.type === "inspect") return 0;
  if (command.type === "embed") {
    return command.inputs.reduce((sum, input) => sum + inputBytes(input), 0);
  }
  return promptBytes(command.job.prompt) + (command.job.grammar?.gbnf.length ?? 0);
}

function inputBytes(input: EmbedInput): number {
  return typeof input === "string" ? input.length : input.length * TOKEN_BYTES;
}

function promptBytes(prompt: JobPrompt): number {
  if (prompt.kind === "text") return prompt.text.length;
  if (prompt.kind === "tokens") return prompt.tokens.length * TOKEN_BYTES;
  return prompt.prefix.length + prompt.suffix.length;
}
