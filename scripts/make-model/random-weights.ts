import { tensorBytes, type TensorType } from "./gguf-writer.ts";

/** Bytes per chunk: a multiple of every block size and of 4. */
const CHUNK = 18 * 34 * 4096;

/** A generator of 32-bit words (xorshift), never 0. */
class Words {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 0x9e37_79b9;
  }

  write(words: Uint32Array): void {
    let state = this.#state;
    for (let index = 0; index < words.length; index++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[index] = state;
    }
    this.#state = state >>> 0;
  }
}

/**
 * Random weights with mean 0 and the given standard deviation. Quantised blocks are made directly:
 * uniform integers under a scale whose sign alternates at random.
 */
export function* randomWeights(
  type: TensorType,
  shape: readonly number[],
  deviation: number,
  seed: number,
): Generator<Uint8Array> {
  const words = new Words(seed);
  let left = tensorBytes(type, shape);
  const chunk = new ArrayBuffer(Math.min(CHUNK, Math.ceil(left / 4) * 4));
  const all = new Uint32Array(chunk);
  while (left > 0) {
    const size = Math.min(left, CHUNK);
    if (type === "Q4_0") {
      words.write(all);
      setScales(chunk, size, 18, deviation / Math.sqrt((256 - 1) / 12));
    } else if (type === "Q8_0") {
      words.write(all);
      setScales(chunk, size, 34, deviation / Math.sqrt((65_536 - 1) / 12));
    } else {
      writeFloats(type, chunk, words, deviation);
    }
    yield new Uint8Array(chunk, 0, size);
    left -= size;
  }
}

/** One value in every element, with a little noise: for norms and biases. */
export function* nearConstant(
  shape: readonly number[],
  mean: number,
  deviation: number,
  seed: number,
): Generator<Uint8Array> {
  for (const chunk of randomWeights("F32", shape, deviation, seed)) {
    const values = new Float32Array(chunk.buffer, chunk.byteOffset, chunk.byteLength / 4);
    for (let index = 0; index < values.length; index++) values[index] = (values[index] ?? 0) + mean;
    yield chunk;
  }
}

/** The scale is the half-precision number in front of each block. Its sign keeps the random bit. */
function setScales(chunk: ArrayBuffer, size: number, block: number, scale: number): void {
  const half = new Uint16Array(new Float16Array([scale]).buffer)[0] ?? 0;
  const halves = new Uint16Array(chunk, 0, size / 2);
  for (let at = 0; at < halves.length; at += block / 2) {
    halves[at] = half | ((halves[at] ?? 0) & 0x8000);
  }
}

function writeFloats(
  type: "F32" | "F16",
  chunk: ArrayBuffer,
  words: Words,
  deviation: number,
): void {
  const table = normalQuantiles();
  const values = type === "F32" ? new Float32Array(chunk) : new Float16Array(chunk);
  const random = new Uint32Array(values.length);
  words.write(random);
  for (let index = 0; index < values.length; index++) {
    values[index] = (table[(random[index] ?? 0) >>> 16] ?? 0) * deviation;
  }
}

let quantiles: Float32Array | null = null;

/** 65536 draws from a normal distribution with deviation 1: each the sum of twelve uniform ones. */
function normalQuantiles(): Float32Array {
  const words = new Words(0x2545_f491);
  const random = new Uint32Array(12);
  quantiles ??= Float32Array.from({ length: 65_536 }, () => {
    words.write(random);
    return random.reduce((sum, word) => sum + word / 2 ** 32, 0) - 6;
  });
  return quantiles;
}
