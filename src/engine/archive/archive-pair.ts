import type { KvCache } from "../kv-cache.ts";
import { SHORT_TOKENS, type StoredPrefix } from "../stored-prefix.ts";
import type { Archive, ArchivedPrefix, Piece, Restored } from "./archive.ts";
import { type ArchiveOptions, PrefixArchive } from "./prefix-archive.ts";

/**
 * The archive of a KV cache; null = there is none.
 * @param isCuttable sequences can be cut and shared at any length; others are kept by `archive` alone.
 */
export function createArchive(
  parts: { archive?: ArchiveOptions | null; shortArchive?: ArchiveOptions | null },
  kv: KvCache,
  isCuttable: boolean,
): Archive | null {
  const { archive = null, shortArchive = null } = parts;
  if (archive === null) return null;
  const long = new PrefixArchive(archive, kv, isCuttable);
  if (shortArchive === null || !isCuttable) return long;
  return new ArchivePair(long, new PrefixArchive(shortArchive, kv, isCuttable));
}

/**
 * Two archives as one. Long prefixes go where they outlive the process. A short one is soon computed
 * again, so it is not worth a file; it is kept in memory, only to leave its cells to who needs them.
 */
class ArchivePair implements Archive {
  readonly #long: PrefixArchive;
  readonly #short: PrefixArchive;

  constructor(long: PrefixArchive, short: PrefixArchive) {
    this.#long = long;
    this.#short = short;
  }

  get version(): number {
    return this.#long.version + this.#short.version;
  }

  get size(): { blocks: number; bytes: number } {
    const [long, short] = [this.#long.size, this.#short.size];
    return { blocks: long.blocks + short.blocks, bytes: long.bytes + short.bytes };
  }

  get isFull(): boolean {
    return this.#long.isFull && !this.#short.hasWork;
  }

  get hasWork(): boolean {
    return this.#long.hasWork || this.#short.hasWork;
  }

  isSaved(entry: StoredPrefix): boolean {
    return this.#of(entry).isSaved(entry);
  }

  add(entry: StoredPrefix): void {
    this.#of(entry).add(entry);
  }

  finish(entry: StoredPrefix): void {
    this.#of(entry).finish(entry);
  }

  forget(entry: StoredPrefix): void {
    this.#of(entry).forget(entry);
  }

  /** Short ones first: each is one block. */
  saveSome(): void {
    if (this.#short.hasWork) this.#short.saveSome();
    else this.#long.saveSome();
  }

  async settled(): Promise<void> {
    await this.#long.settled();
  }

  find(scope: string, tokens: Int32Array, limit: number): ArchivedPrefix | null {
    const long = this.#long.find(scope, tokens, limit);
    const short = this.#short.find(scope, tokens, limit);
    return (short?.length ?? 0) > (long?.length ?? 0) ? short : long;
  }

  touch(pieces: readonly Piece[]): void {
    this.#short.touch(pieces.filter((piece) => this.#short.holds(piece)));
    this.#long.touch(pieces.filter((piece) => this.#long.holds(piece)));
  }

  restore(sequence: number, piece: Piece): Restored {
    const archive = this.#short.holds(piece) ? this.#short : this.#long;
    return archive.restore(sequence, piece);
  }

  #of(entry: StoredPrefix): PrefixArchive {
    return entry.tokens.length < SHORT_TOKENS ? this.#short : this.#long;
  }
}
