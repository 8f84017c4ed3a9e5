import type { ModelFacts } from "./backend.ts";

/** Bytes of a cell's entry: position, count of sequences, one sequence; some models add three numbers. */
const CELL_BYTES = [12, 24];
/** The library's types of numbers are fewer. */
const MOST_TYPES = 128;

export interface StateLimits {
  model: Pick<ModelFacts, "isRecurrent" | "isHybrid" | "slidingWindow">;
  /** Tokens of the context. */
  positions: number;
  /** Cells that the state must hold; null = at most one per position. */
  cells: number | null;
}

/**
 * Whether the library may read this state of a sequence. It checks types and sizes itself, but believes
 * the number of cells, for which it allocates, and their positions: one below zero can never be removed
 * again. Layouts other than that of llama_kv_cache and llama_memory_recurrent are left to the library.
 */
export function isPlausibleState(state: Uint8Array, limits: StateLimits): boolean {
  const { isRecurrent, isHybrid, slidingWindow } = limits.model;
  const reader = new StateReader(state);
  // The magic number, and the sequence's id, which is not used.
  reader.skip(8);
  const caches = isRecurrent && !isHybrid ? 0 : slidingWindow > 0 ? 2 : 1;
  // Some models with a window have but one cache.
  for (let cache = 0; cache < caches && (cache === 0 || reader.left > 0); cache++) {
    const streams = reader.u32();
    if (streams !== 1) return streams !== null;
    const cells = readCells(reader, limits, cache === 0 ? limits.cells : null);
    if (cells === null) return false;
    if (cells > 0 && !skipRows(reader, cells)) return true;
  }
  if (!isRecurrent && !isHybrid) return true;
  return isOneCell(reader, limits.positions) || holdsMoreCells(reader, limits);
}

/** Reads the entries of a cache's cells. @returns how many; null when they cannot be right. */
function readCells(reader: StateReader, limits: StateLimits, asked: number | null): number | null {
  const count = reader.u32();
  if (count === null || count > limits.positions) return null;
  if (asked !== null && count !== asked) return null;
  for (const bytes of CELL_BYTES) {
    const positions = new Set<number>();
    for (let cell = 0; cell < count; cell++) {
      const position = reader.peek(cell * bytes);
      if (position === null || position >= limits.positions) break;
      if (reader.peek(cell * bytes + 4) === 1) positions.add(position);
    }
    if (positions.size < count) continue;
    reader.skip(count * bytes);
    return count;
  }
  return null;
}

/** Skips keys and values. @returns false when they are laid out in a way that is not known here. */
function skipRows(reader: StateReader, cells: number): boolean {
  const isTransposed = reader.u32() === 1;
  const layers = reader.u32() ?? 0;
  for (let tensor = 0; tensor < 2 * layers; tensor++) {
    const type = reader.u32();
    const rowBytes = reader.u32();
    // The upper half of a row's bytes; of transposed values the elements of a row.
    const other = reader.u32();
    if (type === null || type > MOST_TYPES || rowBytes === null || other === null) return false;
    const isOfElements = isTransposed && tensor >= layers;
    if (!isOfElements && other !== 0) return false;
    reader.skip(rowBytes * cells * (isOfElements ? other : 1));
  }
  return reader.left >= 0;
}

/** A recurrent memory has one cell for all of a sequence. */
function isOneCell(reader: StateReader, positions: number): boolean {
  const [count, position, sequences] = [reader.peek(0), reader.peek(4), reader.peek(8)];
  return count === 0 || (count === 1 && (position ?? Infinity) < positions && sequences === 0);
}

/** Some models have a third cache before their recurrent memory. */
function holdsMoreCells(reader: StateReader, limits: StateLimits): boolean {
  return limits.model.isHybrid && reader.u32() === 1 && readCells(reader, limits, null) !== null;
}

/** Numbers of a state, little-endian; null beyond its end. */
class StateReader {
  readonly #view: DataView;
  #at = 0;

  constructor({ buffer, byteOffset, byteLength }: Uint8Array) {
    this.#view = new DataView(buffer, byteOffset, byteLength);
  }

  /** Bytes; negative when more were skipped than there are. */
  get left(): number {
    return this.#view.byteLength - this.#at;
  }

  /** The number so many bytes from here. */
  peek(ahead: number): number | null {
    return ahead + 4 <= this.left ? this.#view.getUint32(this.#at + ahead, true) : null;
  }

  u32(): number | null {
    const value = this.peek(0);
    this.#at += 4;
    return value;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }
}
