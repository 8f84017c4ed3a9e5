import type { LogLevel } from "../lib/log.ts";
import type { NativeLog, NativeLogLine } from "./native-log.ts";

const KEPT_LINES = 12;

/** Passes llama.cpp's log on, and keeps what explains a failure. */
export class LogTail {
  readonly #source: NativeLog;
  readonly #onLog: (level: LogLevel, text: string) => void;

  constructor(source: NativeLog, onLog: (level: LogLevel, text: string) => void) {
    this.#source = source;
    this.#onLog = onLog;
  }

  /** Passes on the lines written since the last call, and returns them. */
  collect(): readonly NativeLogLine[] {
    const lines = this.#source.drain();
    for (const line of lines) this.#onLog(line.level, line.text);
    return lines;
  }
}

/** The last error lines as one text; warnings when there are no errors. */
export function explain(lines: readonly NativeLogLine[], otherwise: string): string {
  for (const level of ["error", "warn"]) {
    const found = lines.filter((line) => line.level === level).slice(-KEPT_LINES);
    if (found.length > 0) return found.map((line) => line.text.trim()).join("\n");
  }
  return otherwise;
}
