import { closeSync, openSync, writeSync } from "node:fs";

/** Tensor element types by their number in the file. */
export const GGML_TYPE = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 8 } as const;
export type TensorType = keyof typeof GGML_TYPE;

/** Bytes of one row element group: `bytes` for every `elements`. */
const LAYOUT = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  Q4_0: { elements: 32, bytes: 18 },
  Q8_0: { elements: 32, bytes: 34 },
} as const;

/** A tensor and how its bytes come into being, chunk by chunk. */
export interface TensorSource {
  name: string;
  type: TensorType;
  /** Row length first. */
  shape: readonly number[];
  /** Yields exactly the tensor's bytes; a chunk may be overwritten after the next one is asked for. */
  chunks: () => Iterable<Uint8Array>;
}

export type MetadataValue =
  | { type: "u32" | "i32" | "f32"; value: number }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string }
  | { type: "strings"; value: readonly string[] }
  | { type: "i32s"; value: readonly number[] }
  /** Type and value as they lie in another GGUF. */
  | { type: "raw"; value: Uint8Array };

const ALIGNMENT = 32;
const VERSION = 3;
const encoder = new TextEncoder();

export function tensorBytes(type: TensorType, shape: readonly number[]): number {
  const elements = shape.reduce((product, length) => product * length, 1);
  const layout = LAYOUT[type];
  if ((shape[0] ?? 0) % layout.elements !== 0) {
    throw new Error(`${type} needs rows of a multiple of ${layout.elements}, not ${shape[0]}`);
  }
  return (elements / layout.elements) * layout.bytes;
}

/** Writes a whole GGUF. @returns its size in bytes. */
export function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, MetadataValue>,
  tensors: readonly TensorSource[],
): number {
  const header = encodeHeader(metadata, tensors);
  const file = openSync(path, "w");
  try {
    let position = 0;
    const write = (bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
      position += bytes.length;
    };
    const pad = () => write(new Uint8Array(-position & (ALIGNMENT - 1)));
    write(header);
    pad();
    for (const tensor of tensors) {
      const end = position + tensorBytes(tensor.type, tensor.shape);
      for (const chunk of tensor.chunks()) write(chunk);
      if (position !== end) throw new Error(`${tensor.name} has the wrong number of bytes`);
      pad();
    }
    return position;
  } finally {
    closeSync(file);
  }
}

function encodeHeader(
  metadata: ReadonlyMap<string, MetadataValue>,
  tensors: readonly TensorSource[],
): Uint8Array {
  const parts: Uint8Array[] = [encoder.encode("GGUF"), u32(VERSION)];
  parts.push(u64(tensors.length), u64(metadata.size));
  for (const [key, value] of metadata) parts.push(text(key), ...encodeValue(value));
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    parts.push(text(name), u32(shape.length), ...shape.map(u64));
    parts.push(u32(GGML_TYPE[type]), u64(offset));
    offset += Math.ceil(tensorBytes(type, shape) / ALIGNMENT) * ALIGNMENT;
  }
  return Buffer.concat(parts);
}

function encodeValue(entry: MetadataValue): Uint8Array[] {
  switch (entry.type) {
    case "u32":
      return [u32(4), u32(entry.value)];
    case "i32":
      return [u32(5), u32(entry.value >>> 0)];
    case "f32":
      return [u32(6), new Uint8Array(new Float32Array([entry.value]).buffer)];
    case "bool":
      return [u32(7), Uint8Array.of(entry.value ? 1 : 0)];
    case "string":
      return [u32(8), text(entry.value)];
    case "strings":
      return [u32(9), u32(8), u64(entry.value.length), ...entry.value.map(text)];
    case "i32s":
      return [
        u32(9),
        u32(5),
        u64(entry.value.length),
        new Uint8Array(new Int32Array(entry.value).buffer),
      ];
    default:
      return [entry.value];
  }
}

function u32(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
}

function text(value: string): Uint8Array {
  const bytes = encoder.encode(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}
