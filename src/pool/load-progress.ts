import { readFileSync } from "node:fs";

/** Bytes of files that a process holds in memory; null when the system does not say. */
export type FileBytesOf = (pid: number) => number | null;

/**
 * How much of a model an engine has read. The library tells of weights that it copies, but is silent
 * while the system brings in a mapped file, which is nearly the whole load: that is read off the
 * process from outside, when somebody asks, so that the load itself is not slowed.
 */
export class LoadProgress {
  readonly #modelBytes: number;
  readonly #fileBytesOf: FileBytesOf;
  /** What the process held before: the program itself and its libraries. */
  #baseBytes: number | null = null;
  #fraction = 0;

  constructor(modelBytes: number, fileBytesOf: FileBytesOf = residentFileBytes) {
    this.#modelBytes = modelBytes;
    this.#fileBytesOf = fileBytesOf;
  }

  /** The engine is about to read the model. */
  begin(pid: number): void {
    this.#baseBytes = this.#fileBytesOf(pid);
  }

  /** The engine's own word, 0 to 1. */
  told(fraction: number): void {
    this.#fraction = Math.max(this.#fraction, Math.min(1, fraction));
  }

  /** 0 to 1, never less than before; 1 only by the engine's own word. */
  fraction(pid: number): number {
    if (this.#baseBytes === null || this.#fraction === 1) return this.#fraction;
    const heldBytes = (this.#fileBytesOf(pid) ?? 0) - this.#baseBytes;
    this.#fraction = Math.max(this.#fraction, Math.min(MOST, heldBytes / this.#modelBytes));
    return this.#fraction;
  }
}

/** Until the engine says that it has all: buffers are still to be made. */
const MOST = 0.99;

/** Source: /proc/<pid>/status, RssFile. Other systems do not tell it of another process. */
function residentFileBytes(pid: number): number | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const kib = /^RssFile:\s+(\d+) kB$/m.exec(status)?.[1];
    return kib === undefined ? null : Number(kib) * 1_024;
  } catch (error) {
    if (error instanceof Error && "code" in error) return null;
    throw error;
  }
}
