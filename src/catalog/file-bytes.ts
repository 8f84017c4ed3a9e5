import type { FileHandle } from "node:fs/promises";

/** Bytes fetched at once. A header of some megabytes takes a handful of reads. */
const CHUNK_BYTES = 256 * 1024;

/** Work allowed per file, waiting for the disk not counted. */
const BUDGET_MS = 2_000;

/** Why a file cannot be read as a model; `message` is the reason shown to people. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

/**
 * A forward reader over one file that never believes a length beyond the file's end. The buffer is
 * fixed, so memory does not depend on what the file claims. Reads of numbers are synchronous once
 * `fill` made the bytes present. The caller owns and closes the handle.
 */
export class FileBytes {
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  readonly #startedMs = performance.now();
  #waitedMs = 0;
  /** File offset of the first buffered byte. */
  #offset = 0;
  #next = 0;
  #end = 0;

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  /** File offset of the next byte. */
  get position(): number {
    return this.#offset + this.#next;
  }

  /** Bytes between here and the end of the file. */
  get left(): number {
    return this.size - this.position;
  }

  has(count: number): boolean {
    return this.#end - this.#next >= count;
  }

  /**
   * Makes `count` bytes readable without waiting; 0 <= count <= 64 KiB.
   * @throws UnreadableFile when the file ends before, or when the time is used up.
   */
  async fill(count: number): Promise<void> {
    if (this.has(count)) return;
    if (count > this.left) throw new UnreadableFile("the file ends inside its header");
    this.#checkBudget();
    this.#buffer.copyWithin(0, this.#next, this.#end);
    this.#offset += this.#next;
    this.#end -= this.#next;
    this.#next = 0;
    while (this.#end < count) {
      this.#end += await this.#read(this.#buffer, this.#end, this.#offset + this.#end);
    }
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#advance(1));
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#advance(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#advance(4));
  }

  i32(): number {
    return this.#buffer.readInt32LE(this.#advance(4));
  }

  f32(): number {
    return this.#buffer.readFloatLE(this.#advance(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#advance(8));
  }

  /** A 64-bit count as a number; above 2^53 it loses its last digits but stays as large. */
  u64(): number {
    const at = this.#advance(8);
    return this.#buffer.readUInt32LE(at + 4) * 2 ** 32 + this.#buffer.readUInt32LE(at);
  }

  i64(): number {
    const at = this.#advance(8);
    return this.#buffer.readInt32LE(at + 4) * 2 ** 32 + this.#buffer.readUInt32LE(at);
  }

  /** The next `count` bytes as text; invalid UTF-8 becomes U+FFFD. */
  async text(count: number): Promise<string> {
    if (count > this.left) throw new UnreadableFile("the file ends inside its header");
    if (count <= CHUNK_BYTES) {
      await this.fill(count);
      const at = this.#advance(count);
      return this.#buffer.toString("utf8", at, at + count);
    }
    const bytes = Buffer.allocUnsafe(count);
    let filled = 0;
    while (filled < count) {
      filled += await this.#read(bytes, filled, this.position + filled);
    }
    this.seek(this.position + count);
    return bytes.toString("utf8");
  }

  /** Passes over bytes without fetching them. @throws UnreadableFile beyond the end of the file. */
  skip(count: number): void {
    if (count > this.left) throw new UnreadableFile("the file ends inside its header");
    if (this.has(count)) this.#next += count;
    else this.seek(this.position + count);
  }

  /** Continues at an absolute offset within the file. */
  seek(offset: number): void {
    this.#offset = offset;
    this.#next = 0;
    this.#end = 0;
  }

  #advance(count: number): number {
    const at = this.#next;
    this.#next += count;
    return at;
  }

  async #read(into: Buffer, at: number, offset: number): Promise<number> {
    const startedMs = performance.now();
    const { bytesRead } = await this.#handle.read(into, at, into.length - at, offset);
    this.#waitedMs += performance.now() - startedMs;
    if (bytesRead === 0) throw new UnreadableFile("the file ends inside its header");
    return bytesRead;
  }

  #checkBudget(): void {
    if (performance.now() - this.#startedMs - this.#waitedMs > BUDGET_MS)
      throw new UnreadableFile(`its header takes longer than ${BUDGET_MS / 1000} s to read`);
  }
}
