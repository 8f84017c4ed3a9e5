import { writeSync } from "node:fs";
import { systemCode } from "../lib/system-code.ts";
import { EXIT, ExitError, ReaderGone, type Terminal } from "./command.ts";
import { withoutControls } from "./plain-text.ts";

/** Wait before a full pipe is tried again. */
const RETRY_MS = 5;
const MAX_INPUT_BYTES = 16 * 1024 * 1024;

/**
 * The terminal or pipes this process was started with. What a terminal would obey instead of show
 * is left out there: texts come from models, servers and file names.
 */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  const isTty = { stdin: stdin.isTTY, stdout: stdout.isTTY, stderr: stderr.isTTY };
  const shown = (text: string, tty: boolean): string => (tty ? withoutControls(text) : text);
  return {
    print: (line) => writeText(1, `${shown(line, isTty.stdout)}\n`),
    note: (line) => writeText(2, `${shown(line, isTty.stderr)}\n`),
    write: (text) => writeText(1, shown(text, isTty.stdout)),
    readInput,
    isTty,
    env: process.env,
  };
}

/** Writes all of it, also to a slow reader. */
function writeText(fd: number, text: string): void {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const code = systemCode(error);
      // What cannot be said on stderr cannot be said at all.
      if (fd === 2 && code !== "EAGAIN") return;
      if (code === "EPIPE") throw new ReaderGone("stdout is read no longer", { cause: error });
      if (code !== "EAGAIN")
        throw new ExitError(
          EXIT.failed,
          `The output cannot be written (${code ?? String(error)}).`,
        );
      Bun.sleepSync(RETRY_MS);
    }
  }
}

async function readInput(): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of Bun.stdin.stream()) {
    bytes += chunk.length;
    if (bytes > MAX_INPUT_BYTES)
      throw new ExitError(EXIT.usage, "Standard input holds more than 16 MiB.");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
