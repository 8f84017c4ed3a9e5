import { createInterface } from "node:readline";
import { ReaderGone } from "./command.ts";

/** Lines kept for the arrow keys, in memory only. */
const HISTORY_LINES = 500;

/** Asks a person at the terminal for lines, with editing and history. Ends with its scope. */
export interface LinePrompt extends Disposable {
  /** The next line; null when the input has ended (Ctrl-D), or nobody reads the output any longer. */
  ask(): Promise<string | null>;
}

/** @param onInterrupt Called at each Ctrl-C, also while nothing is asked. */
export function openLinePrompt(onInterrupt: () => void, question = "> "): LinePrompt {
  const lines: string[] = [];
  let waiting: ((line: string | null) => void) | null = null;
  let isClosed = false;
  const reader = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: true,
    prompt: question,
    historySize: HISTORY_LINES,
    removeHistoryDuplicates: true,
  });
  const settle = (line: string | null): void => {
    const resolve = waiting;
    waiting = null;
    resolve?.(line);
  };
  reader.on("line", (line) => {
    if (waiting === null) lines.push(line);
    else settle(line);
  });
  reader.on("close", () => {
    isClosed = true;
    settle(null);
  });
  // Stays, since what was written last may fail when all else is over.
  process.stdout.on("error", () => reader.close());
  const interrupt = (): void => {
    try {
      onInterrupt();
    } catch (error) {
      if (!(error instanceof ReaderGone)) throw error;
      reader.close();
    }
    if (waiting === null) return;
    reader.write(null, { ctrl: true, name: "u" });
    reader.prompt();
  };
  reader.on("SIGINT", interrupt);
  process.on("SIGINT", interrupt);
  return {
    ask() {
      const line = lines.shift();
      if (line !== undefined) return Promise.resolve(line);
      if (isClosed) return Promise.resolve(null);
      const { promise, resolve } = Promise.withResolvers<string | null>();
      waiting = resolve;
      reader.prompt();
      return promise;
    },
    [Symbol.dispose]() {
      process.off("SIGINT", interrupt);
      reader.close();
    },
  };
}
