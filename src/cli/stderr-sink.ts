/** Bytes that may wait for a reader that does not read. */
const MAX_WAITING_BYTES = 256 * 1024;

/** The part of `Bun.FileSink` used here. */
export interface ByteSink {
  write(text: string): unknown;
  /** A promise while the reader is behind, else a number. */
  flush(): unknown;
}

/**
 * Writes lines without ever waiting for whoever reads them: when a pipe is full, lines are dropped
 * and counted, and the count is written once there is room again.
 */
export class LineSink {
  readonly #sink: ByteSink;
  #waitingBytes = 0;
  #flushing: Promise<void> | null = null;
  #dropped = 0;
  #isClosed = false;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Lines lost since the start because nobody read. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#isClosed) return;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#send(line);
  }

  /** Waits until everything is written, at most `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, limitMs);
    await Promise.race([this.#flushing, limit.promise]);
    clearTimeout(timer);
  }

  #send(text: string): void {
    this.#waitingBytes += Buffer.byteLength(text);
    try {
      this.#sink.write(text);
      if (this.#flushing !== null) return;
      const flushed = this.#sink.flush();
      if (flushed instanceof Promise) this.#flushing = this.#finishFlush(flushed);
      else this.#waitingBytes = 0;
    } catch {
      this.#isClosed = true; // the reader is gone for good: there is nobody left to tell
    }
  }

  async #finishFlush(flushed: Promise<unknown>): Promise<void> {
    const waitingBefore = this.#waitingBytes;
    const droppedBefore = this.#dropped;
    try {
      await flushed;
    } catch {
      this.#isClosed = true; // as above
      return;
    }
    this.#flushing = null;
    this.#waitingBytes -= waitingBefore;
    const lost = this.#dropped - droppedBefore;
    const notice = lost > 0 ? `${lost} log lines were dropped because nobody read them\n` : "";
    // Also flushes what was written meanwhile.
    if (this.#waitingBytes > 0 || notice !== "") this.#send(notice);
  }
}
