import { toArrayBuffer } from "bun:ffi";
import { LOG_RING_SIZE } from "./shim-source.ts";
import type { NativePointer } from "./native-pointer.ts";

export type NativeLogLevel = "info" | "warn" | "error";

export interface NativeLogLine {
  level: NativeLogLevel;
  text: string;
}

const RECORD_START = 1;
const CONTINUE = 5;

/** What llama.cpp wrote to its log, read from the shim's ring between calls. */
export class NativeLog {
  readonly #ring: Uint8Array;
  readonly #written: () => number;
  #read = 0;

  /** `ring` is native memory of LOG_RING_SIZE bytes; `written` counts bytes ever written, mod 2^32. */
  constructor(ring: NativePointer, written: () => number) {
    this.#ring = new Uint8Array(toArrayBuffer(ring, 0, LOG_RING_SIZE));
    this.#written = written;
  }

  /** The lines since the last call, oldest first; the oldest are lost when the ring was overrun. */
  drain(): NativeLogLine[] {
    const end = this.#written();
    const pending = (end - this.#read) >>> 0;
    if (pending === 0) return [];
    const length = Math.min(pending, LOG_RING_SIZE);
    const bytes = new Uint8Array(length);
    const start = (end - length) >>> 0;
    for (let index = 0; index < length; index++) {
      bytes[index] = this.#ring[(start + index) & (LOG_RING_SIZE - 1)] ?? 0;
    }
    this.#read = end;
    return parseRecords(bytes);
  }
}

/** Splits records into lines; a record that continues the previous one extends its line. */
export function parseRecords(bytes: Uint8Array): NativeLogLine[] {
  const lines: NativeLogLine[] = [];
  let open = false;
  for (const record of new TextDecoder().decode(bytes).split(String.fromCharCode(RECORD_START))) {
    if (record.length < 2) continue;
    const level = record.charCodeAt(0) - 48;
    const pieces = record.slice(1).split("\n");
    for (const [index, text] of pieces.entries()) {
      const last = lines.at(-1);
      if (index === 0 && level === CONTINUE && open && last) last.text += text;
      else if (text.trim() !== "") lines.push({ level: levelName(level), text });
    }
    open = pieces.at(-1) !== "";
  }
  return lines;
}

function levelName(level: number): NativeLogLevel {
  if (level === 4) return "error";
  if (level === 3) return "warn";
  return "info";
}
