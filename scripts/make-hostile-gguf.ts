/**
 * Writes GGUF files that lie, overflow, repeat or end early: `bun scripts/make-hostile-gguf.ts FOLDER`.
 * None is a model; a reader must refuse each at once. The tests take the list from here.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

const U32 = 4;
const STRING = 8;
const ARRAY = 9;

/** A number that fits no file. */
const HUGE = 2n ** 40n;

export interface HostileFile {
  name: string;
  bytes: Uint8Array;
  /** The file is this long; what follows the bytes are zeros that take no room on disk. */
  sizeBytes?: number;
  /** What the reason must say. */
  reason: RegExp;
}

/** Little-endian pieces of a GGUF, joined as they are: nothing is checked. */
export const piece = {
  u32: (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    return bytes;
  },
  u64: (value: bigint | number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  },
  text: (value: string) => Buffer.concat([piece.u64(Buffer.byteLength(value)), Buffer.from(value)]),
  header: (tensors: bigint | number, pairs: bigint | number, version = 3) =>
    Buffer.concat([Buffer.from("GGUF"), piece.u32(version), piece.u64(tensors), piece.u64(pairs)]),
  number: (key: string, value: number) =>
    Buffer.concat([piece.text(key), piece.u32(U32), piece.u32(value)]),
  string: (key: string, value: string) =>
    Buffer.concat([piece.text(key), piece.u32(STRING), piece.text(value)]),
  strings: (key: string, values: readonly string[]) =>
    Buffer.concat([
      piece.text(key),
      piece.u32(ARRAY),
      piece.u32(STRING),
      piece.u64(values.length),
      ...values.map(piece.text),
    ]),
  tensor: (
    name: string,
    shape: readonly (number | bigint)[],
    type: number,
    offset: number | bigint,
  ) =>
    Buffer.concat([
      piece.text(name),
      piece.u32(shape.length),
      ...shape.map(piece.u64),
      piece.u32(type),
      piece.u64(offset),
    ]),
};

export interface ModelParts {
  pairs?: readonly Buffer[];
  tensors?: readonly Buffer[];
  dataBytes?: number;
  architecture?: string;
}

/** A tiny file that passes as a model; `pairs` are added to what every model has. */
export function tinyModel({
  pairs = [],
  tensors = [piece.tensor("output.weight", [32, 2], 0, 0)],
  dataBytes = 256,
  architecture = "llama",
}: ModelParts = {}): Uint8Array {
  const all = [
    piece.string("general.architecture", architecture),
    piece.number(`${architecture}.context_length`, 2048),
    ...pairs,
  ];
  const head = Buffer.concat([piece.header(tensors.length, all.length), ...all, ...tensors]);
  const padding = Buffer.alloc(-head.length & 31);
  return Buffer.concat([head, padding, Buffer.alloc(dataBytes)]);
}

const withPair = (pair: Buffer): Uint8Array => Buffer.concat([piece.header(0, 1), pair]);
const withTensor = (tensor: Buffer): Uint8Array => tinyModel({ tensors: [tensor] });

/** Every hostile file, with the words its refusal must contain. */
export function hostileFiles(): HostileFile[] {
  return [...brokenHeads(), ...brokenPairs(), ...brokenTensors(), ...notModels()];
}

function brokenHeads(): HostileFile[] {
  const swapped = Buffer.from(piece.header(0, 0));
  swapped.writeUInt32BE(3, 4);
  return [
    { name: "empty", bytes: Buffer.alloc(0), reason: /empty/ },
    { name: "one-byte", bytes: Buffer.from("G"), reason: /too short/ },
    { name: "text", bytes: Buffer.from("<!doctype html>".repeat(9)), reason: /not a GGUF/ },
    { name: "zeros", bytes: Buffer.alloc(4096), reason: /not a GGUF/ },
    { name: "pairs-2-40", bytes: piece.header(0, HUGE), reason: /metadata entries/ },
    { name: "tensors-2-40", bytes: piece.header(HUGE, 0), reason: /tensors/ },
    { name: "tensors-minus-1", bytes: piece.header(2n ** 64n - 1n, 0), reason: /tensors/ },
    { name: "pairs-none-follow", bytes: piece.header(0, 3), reason: /ends inside/ },
    { name: "version-1", bytes: piece.header(0, 0, 1), reason: /version 1 / },
    { name: "version-99", bytes: piece.header(0, 0, 99), reason: /version 99 / },
    { name: "byte-swapped", bytes: swapped, reason: /big-endian/ },
  ];
}

function brokenPairs(): HostileFile[] {
  const list = (element: number, count: bigint | number) =>
    Buffer.concat([piece.text("a"), piece.u32(ARRAY), piece.u32(element), piece.u64(count)]);
  const nested = Buffer.concat(
    Array.from({ length: 200_000 }, () => Buffer.concat([piece.u32(ARRAY), piece.u64(1)])),
  );
  const sparse = 700 * 2 ** 20;
  return [
    { name: "array-2-40", bytes: withPair(list(U32, HUGE)), reason: /longer than the file/ },
    { name: "strings-2-40", bytes: withPair(list(STRING, HUGE)), reason: /longer than the file/ },
    {
      name: "array-2-63",
      bytes: withPair(list(U32, 2n ** 63n)),
      reason: /longer than the file/,
    },
    {
      name: "key-2-31",
      bytes: Buffer.concat([piece.header(0, 1), piece.u64(2 ** 31), Buffer.alloc(64)]),
      reason: /too long/,
    },
    {
      name: "nested-200000",
      bytes: withPair(Buffer.concat([piece.text("a"), piece.u32(ARRAY), nested])),
      reason: /nests arrays/,
    },
    {
      name: "text-longer-than-file",
      bytes: withPair(Buffer.concat([piece.text("a"), piece.u32(STRING), piece.u64(300e6)])),
      reason: /longer than the file/,
    },
    {
      name: "text-65-mib",
      bytes: withPair(Buffer.concat([piece.text("a"), piece.u32(STRING), piece.u64(65 * 2 ** 20)])),
      sizeBytes: sparse,
      reason: /larger than 64 MiB/,
    },
    {
      name: "template-9-mib",
      bytes: withPair(
        Buffer.concat([
          piece.text("tokenizer.chat_template"),
          piece.u32(STRING),
          piece.u64(9 * 2 ** 20),
        ]),
      ),
      sizeBytes: sparse,
      reason: /template is larger/,
    },
    {
      name: "header-600-mib",
      bytes: Buffer.concat([piece.header(0, 2), list(0, 600 * 2 ** 20)]),
      sizeBytes: sparse,
      reason: /larger than 512 MiB/,
    },
    {
      name: "pair-type-255",
      bytes: withPair(Buffer.concat([piece.text("a"), piece.u32(255)])),
      reason: /type 255/,
    },
    { name: "array-type-255", bytes: withPair(list(255, 1)), reason: /type 255/ },
    {
      name: "key-twice",
      bytes: Buffer.concat([piece.header(0, 2), piece.number("a", 1), piece.number("a", 2)]),
      reason: /occurs twice/,
    },
    { name: "key-empty", bytes: withPair(piece.number("", 1)), reason: /empty name/ },
    { name: "key-proto", bytes: withPair(piece.number("__proto__.x", 1)), reason: /not allowed/ },
    {
      name: "key-constructor",
      bytes: withPair(piece.number("constructor.prototype.x", 1)),
      reason: /not allowed/,
    },
    ...[0, 3, 2 ** 31].map((alignment) => ({
      name: `alignment-${alignment}`,
      bytes: tinyModel({ pairs: [piece.number("general.alignment", alignment)] }),
      reason: /alignment/,
    })),
  ];
}

function brokenTensors(): HostileFile[] {
  return [
    {
      name: "dimensions-overflow",
      bytes: withTensor(piece.tensor("w", [2 ** 31, 2 ** 31, 2 ** 31, 2], 0, 0)),
      reason: /dimensions are too large/,
    },
    {
      name: "dimension-minus-1",
      bytes: withTensor(piece.tensor("w", [2n ** 64n - 1n], 0, 0)),
      reason: /dimensions are too large/,
    },
    {
      name: "dimensions-5",
      bytes: withTensor(piece.tensor("w", [1, 1, 1, 1, 1], 0, 0)),
      reason: /5 dimensions/,
    },
    {
      name: "tensor-type-255",
      bytes: withTensor(piece.tensor("w", [32], 255, 0)),
      reason: /type 255/,
    },
    {
      name: "tensor-type-removed",
      bytes: withTensor(piece.tensor("w", [32], 4, 0)),
      reason: /type 4 /,
    },
    { name: "row-odd", bytes: withTensor(piece.tensor("w", [33], 8, 0)), reason: /rows of 33/ },
    {
      name: "offset-past-end",
      bytes: withTensor(piece.tensor("w", [32], 0, 4096)),
      reason: /truncated/,
    },
    {
      name: "offset-2-62",
      bytes: withTensor(piece.tensor("w", [32], 0, 2n ** 62n)),
      reason: /truncated/,
    },
    {
      name: "offset-odd",
      bytes: withTensor(piece.tensor("w", [32], 0, 7)),
      reason: /not aligned/,
    },
    {
      name: "tensor-name-long",
      bytes: withTensor(piece.tensor("w".repeat(300), [32], 0, 0)),
      reason: /name of 300 bytes/,
    },
  ];
}

function notModels(): HostileFile[] {
  const anonymous = Buffer.concat([
    piece.header(1, 0),
    piece.tensor("w", [8], 0, 0),
    Buffer.alloc(128),
  ]);
  const timeless = Buffer.concat([
    piece.header(1, 1),
    piece.string("general.architecture", "llama"),
    piece.tensor("w", [8], 0, 0),
    Buffer.alloc(128),
  ]);
  return [
    { name: "no-architecture", bytes: anonymous, reason: /no architecture/ },
    { name: "no-context-length", bytes: timeless, reason: /context length/ },
    { name: "vocabulary", bytes: tinyModel({ tensors: [] }), reason: /no weights/ },
    {
      name: "adapter",
      bytes: tinyModel({ pairs: [piece.string("general.type", "adapter")] }),
      reason: /adapter of type "", not LoRA/,
    },
  ];
}

/** Writes the files as `<name>.gguf`. */
export function writeHostileFiles(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const { name, bytes, sizeBytes } of hostileFiles()) {
    const path = join(folder, `${name}.gguf`);
    if (sizeBytes === undefined) {
      writeFileSync(path, bytes);
      continue;
    }
    const file = openSync(path, "w");
    writeSync(file, bytes);
    ftruncateSync(file, sizeBytes);
    closeSync(file);
  }
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("usage: bun scripts/make-hostile-gguf.ts FOLDER");
  writeHostileFiles(folder);
}
