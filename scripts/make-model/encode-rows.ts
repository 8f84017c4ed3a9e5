import { tensorBytes, type TensorType } from "./gguf-writer.ts";

/** Elements per block of Q8_0, and its bytes: a half-precision scale and 32 integers. */
const BLOCK = 32;
const BLOCK_BYTES = 34;

/**
 * The bytes of a tensor whose rows are computed one by one. F32 and Q8_0 only.
 * @param row fills a zeroed row of the tensor's row length.
 */
export function* encodeRows(
  type: TensorType,
  shape: readonly number[],
  row: (values: Float32Array, index: number) => void,
): Generator<Uint8Array> {
  if (type !== "F32" && type !== "Q8_0") throw new Error(`rows of ${type} cannot be written`);
  const [length = 1, rows = 1] = shape;
  const values = new Float32Array(length);
  const bytes = new Uint8Array(tensorBytes(type, [length]));
  for (let index = 0; index < rows; index++) {
    values.fill(0);
    row(values, index);
    if (type === "Q8_0") encodeQ8(values, bytes);
    yield type === "Q8_0" ? bytes : new Uint8Array(values.buffer);
  }
}

/** Source: ggml, quantize_row_q8_0_ref. */
function encodeQ8(values: Float32Array, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  for (let block = 0; block * BLOCK < values.length; block++) {
    const part = values.subarray(block * BLOCK, (block + 1) * BLOCK);
    const scale = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    const start = block * BLOCK_BYTES;
    view.setFloat16(start, scale, true);
    for (const [index, value] of part.entries()) {
      view.setInt8(start + 2 + index, scale === 0 ? 0 : Math.round(value / scale));
    }
  }
}
