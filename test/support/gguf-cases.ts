import { piece } from "../../scripts/make-hostile-gguf.ts";

/**
 * One file for each way in which the tests of llama.cpp's own reader break a GGUF (or do not): the
 * same 33 cases, written by our own means, in files that say that they are models.
 */
export interface GgufCase {
  name: string;
  bytes: Buffer;
  /** Why the header is refused; null = only llama.cpp may refuse the file. */
  refusal: RegExp | null;
}

const MINUS_1 = 2n ** 64n - 1n;
const INT32 = 5;
const TYPES = 13;
/** Number after the last tensor type. */
const TENSOR_TYPES = 200;
const I8 = 24;
const I64 = 27;

const PAIRS = [
  piece.string("general.architecture", "llama"),
  piece.number("llama.context_length", 64),
  piece.strings("my.list", ["one", "two"]),
];
const TENSORS = [piece.tensor("a", [32, 2], 0, 0), piece.tensor("b", [32], 0, 256)];
const DATA_BYTES = 384;

interface Parts {
  magic?: string;
  version?: number;
  tensorCount?: number | bigint;
  pairCount?: number | bigint;
  pairs?: readonly Buffer[];
  tensors?: readonly Buffer[];
  alignment?: number;
  dataBytes?: number;
}

function file(parts: Parts = {}): Buffer {
  const { magic = "GGUF", version = 3, pairs = PAIRS, tensors = TENSORS, alignment = 32 } = parts;
  const head = Buffer.concat([
    Buffer.from(magic),
    piece.u32(version),
    piece.u64(parts.tensorCount ?? tensors.length),
    piece.u64(parts.pairCount ?? pairs.length),
    ...pairs,
    ...tensors,
  ]);
  const padding = (alignment - (head.length % alignment)) % alignment;
  return Buffer.concat([head, Buffer.alloc(padding + (parts.dataBytes ?? DATA_BYTES), 7)]);
}

const withPair = (pair: Buffer, more: Parts = {}): Buffer =>
  file({ ...more, pairs: [...PAIRS, pair] });
const withTensor = (tensor: Buffer, more: Parts = {}): Buffer =>
  file({ ...more, tensors: [tensor, ...TENSORS.slice(1)] });
const aligned = (bytes: number): Buffer => piece.number("general.alignment", bytes);
const typed = (key: string, type: number, value: Buffer): Buffer =>
  Buffer.concat([piece.text(key), piece.u32(type), value]);

/** Tensors packed as if nothing were aligned, in a file that does not say so. */
const PACKED = [piece.tensor("a", [33], 0, 0), piece.tensor("b", [32], 0, 132)];
const HUGE_ROW = 0x7fffffffffffffc0n;
const HUGE = [piece.tensor("a", [HUGE_ROW], I8, 0), piece.tensor("b", [HUGE_ROW], I8, HUGE_ROW)];

export const GGUF_CASES: readonly GgufCase[] = [
  { name: "header-bad-magic", bytes: file({ magic: "FUGG" }), refusal: /not a GGUF/ },
  { name: "header-bad-version-0", bytes: file({ version: 0 }), refusal: /GGUF/ },
  { name: "header-bad-version-1", bytes: file({ version: 1 }), refusal: /version 1 / },
  { name: "header-bad-version-future", bytes: file({ version: 4 }), refusal: /version 4 / },
  { name: "header-bad-tensor-count", bytes: file({ tensorCount: MINUS_1 }), refusal: /tensors/ },
  { name: "header-bad-pair-count", bytes: file({ pairCount: MINUS_1 }), refusal: /entries/ },
  { name: "header-empty", bytes: file({ pairs: [], tensors: [], dataBytes: 0 }), refusal: null },
  {
    name: "pairs-bad-key-size",
    bytes: withPair(piece.u64(MINUS_1)),
    refusal: /too long/,
  },
  { name: "pairs-empty-key", bytes: withPair(piece.number("", 1)), refusal: /empty name/ },
  {
    name: "pairs-bad-type",
    bytes: withPair(typed("my.key", TYPES, piece.u32(1))),
    refusal: /type 13/,
  },
  {
    name: "pairs-duplicate-key",
    bytes: file({ pairs: [...PAIRS, piece.number("my.key", 1), piece.number("my.key", 2)] }),
    refusal: /occurs twice/,
  },
  { name: "pairs-bad-alignment", bytes: withPair(aligned(13)), refusal: /alignment of 13/ },
  {
    name: "pairs-wrong-type-of-alignment",
    bytes: withPair(typed("general.alignment", INT32, piece.u32(13))),
    refusal: /alignment/,
  },
  { name: "pairs-fine", bytes: file({ tensors: [], dataBytes: 0 }), refusal: null },
  {
    name: "tensors-bad-name-size",
    bytes: withTensor(piece.tensor("a".repeat(300), [32], 0, 0)),
    refusal: /name of 300 bytes/,
  },
  {
    name: "tensors-bad-dimension-count",
    bytes: withTensor(piece.tensor("a", [1, 1, 1, 1, 1], 0, 0)),
    refusal: /5 dimensions/,
  },
  {
    name: "tensors-bad-shape",
    bytes: withTensor(piece.tensor("a", [MINUS_1], 0, 0)),
    refusal: /too large/,
  },
  {
    name: "tensors-zero-dimension",
    bytes: withTensor(piece.tensor("a", [32, 0], 0, 0)),
    refusal: null,
  },
  {
    name: "tensors-too-many-elements",
    bytes: withTensor(piece.tensor("a", [4n * (2n ** 31n - 1n), 4n * (2n ** 31n - 1n)], 0, 0)),
    refusal: /too large/,
  },
  {
    name: "tensors-too-many-bytes",
    bytes: withTensor(piece.tensor("a", [1_534_000_000, 1_534_000_000], I64, 0)),
    refusal: /too large|truncated/,
  },
  {
    name: "tensors-bad-type",
    bytes: withTensor(piece.tensor("a", [32], TENSOR_TYPES, 0)),
    refusal: /type 200/,
  },
  {
    name: "tensors-bad-offset",
    bytes: withTensor(piece.tensor("a", [32], 0, MINUS_1)),
    refusal: /aligned|truncated/,
  },
  {
    name: "tensors-duplicate-name",
    bytes: file({ tensors: [piece.tensor("a", [32], 0, 0), piece.tensor("a", [32], 0, 128)] }),
    refusal: null,
  },
  {
    name: "tensors-bad-alignment",
    bytes: withPair(aligned(13), { alignment: 13 }),
    refusal: /alignment of 13/,
  },
  {
    name: "tensors-inconsistent-alignment",
    bytes: file({ tensors: PACKED }),
    refusal: /not aligned/,
  },
  { name: "tensors-fine", bytes: file(), refusal: null },
  {
    name: "tensors-alignment-1",
    bytes: withPair(aligned(1), { alignment: 1, tensors: PACKED, dataBytes: 260 }),
    refusal: null,
  },
  { name: "data-too-short", bytes: file({ dataBytes: DATA_BYTES - 1 }), refusal: /truncated/ },
  {
    name: "data-bad-alignment",
    bytes: withPair(aligned(13), { alignment: 13, dataBytes: 700 }),
    refusal: /alignment of 13/,
  },
  {
    name: "data-inconsistent-alignment",
    bytes: file({ tensors: PACKED, dataBytes: 700 }),
    refusal: /not aligned/,
  },
  {
    name: "data-size-overflow",
    bytes: file({ tensors: HUGE, dataBytes: 32 }),
    refusal: /too large|truncated/,
  },
  { name: "data-fine", bytes: file({ dataBytes: 400 }), refusal: null },
  {
    name: "data-alignment-1",
    bytes: withPair(aligned(1), { alignment: 1, tensors: PACKED, dataBytes: 300 }),
    refusal: null,
  },
];
