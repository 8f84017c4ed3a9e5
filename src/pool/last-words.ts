import type { EngineExit } from "./engine-channel.ts";

const MAX_LINES = 8;
const MAX_CHARACTERS = 2_000;

/** A folder of an absolute path, up to its last slash. */
const FOLDERS = /(?<![\w.])(?:\/[^\s/'":]+)+\//g;
/** Control and invisible formatting characters, line ends excepted. */
const CONTROL = /(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/gu;
/** Lines of a JavaScript error that show code and calls: of use in a log, not to a client. */
const CODE = /^(?:\s+at .+|\s*\d+ \|.*|\s*\^+|Bun v\d.*)$/;
const COLOURS = /\u001b\[[0-9;]*[A-Za-z]/g;

/**
 * The last lines of an engine's stderr as they may be shown to a client: no folders of this
 * machine, no control characters, no code, no banner of the runtime's own crash handler.
 *
 * @returns at most eight lines joined by newlines; "" when it said nothing.
 */
export function lastWords(stderr: string): string {
  const lines = stderr
    .replaceAll("\r", "\n")
    .replace(COLOURS, "")
    .replace(CONTROL, "")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && (!CODE.test(line) || line.startsWith("Bun v")));
  const banner = lines.findIndex(
    (line, index) => line.startsWith("=====") && lines[index + 1]?.startsWith("Bun v") === true,
  );
  const own = banner === -1 ? lines : lines.slice(0, banner);
  return own
    .filter((line) => !CODE.test(line))
    .slice(-MAX_LINES)
    .join("\n")
    .slice(-MAX_CHARACTERS)
    .replace(FOLDERS, "");
}

/** How a process ended, in words: "was killed by SIGKILL", "exited with code 7". */
export function exitWords(exit: EngineExit): string {
  if (exit.signal === "SIGKILL") {
    return "was killed by SIGKILL, perhaps by the kernel because memory ran out";
  }
  if (exit.signal === "SIGBUS") {
    return "was killed by SIGBUS, perhaps because the model file changed on disk";
  }
  if (exit.signal !== null) return `was killed by ${exit.signal}`;
  return exit.code === null ? "ended" : `exited with code ${exit.code}`;
}

/** Whether the process was ended without a chance to say why: its last words are about something else. */
export const isKilled = ({ signal }: EngineExit): boolean =>
  signal === "SIGKILL" || signal === "SIGTERM";

/** One cause out of what happened and what the engine said before it. */
export function causeWords(happened: string, stderr: string): string {
  const words = lastWords(stderr);
  return words === "" ? `the engine ${happened}` : `the engine ${happened}: ${words}`;
}
