import { writeSync } from "node:fs";
import type { Terminal } from "./command.ts";

/** Wait before a full pipe is tried again. */
const RETRY_MS = 5;

/** The terminal or pipes this process was started with. */
export function processTerminal(): Terminal {
  return {
    print: (line) => writeLine(1, line),
    note: (line) => writeLine(2, line),
    env: process.env,
  };
}

/** Writes all of it, also to a slow reader; a reader that has gone gets nothing more. */
function writeLine(fd: number, line: string): void {
  let bytes = Buffer.from(`${line}\n`);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      if (code === "EPIPE") return;
      if (code !== "EAGAIN") throw error;
      Bun.sleepSync(RETRY_MS);
    }
  }
}
