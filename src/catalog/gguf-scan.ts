import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { FileBytes, UnreadableFile } from "./file-bytes.ts";
import { GgufMetadata } from "./gguf-metadata.ts";
import { TENSOR_TYPES } from "./gguf-types.ts";

const MAX_COUNT = 2 ** 20;
const MAX_NAME_BYTES = 256;
const MAX_DIMENSIONS = 4;
const MAX_ALIGNMENT = 2 ** 16;
const MAGIC = 0x46554747;

/** What one file's header says. Sizes in bytes. */
export interface GgufHeader {
  sizeBytes: number;
  metadata: GgufMetadata;
  tensorCount: number;
  /** Elements of all tensors. */
  parameterCount: number;
  tensorBytes: number;
  /** Name of the tensor type that holds the most bytes; null without tensors. */
  mainTensorType: string | null;
  /** Text of the tokens that the metadata names, cut at 256 characters. */
  bosText: string | null;
  eosText: string | null;
}

/**
 * Reads the header of a GGUF file within fixed bounds of time and memory, whatever the file says.
 * Nothing else in the program may read a model file that did not pass here.
 *
 * node-llama-cpp's reader is not used after it: that reader never notices the end of the file (24
 * bytes that claim 2^40 entries keep it busy for ever), accepts strings longer than the file, lets
 * a key named `__proto__` shadow the rest, and keeps a whole vocabulary in memory per model. This
 * scan has to walk every entry to check it, so it can as well keep the few facts the catalogue
 * needs; a second reader would add nothing but its faults.
 *
 * @throws UnreadableFile with the reason. Source of the format: ggml, docs/gguf.md and gguf.cpp.
 */
export async function scanGguf(path: string): Promise<GgufHeader> {
  // Opening some devices has effects, so the kind is looked at before, and again once open.
  if (!(await stat(path)).isFile()) throw new UnreadableFile("it is not a regular file");
  // Opening a FIFO for reading would wait for a writer without O_NONBLOCK.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) throw new UnreadableFile("it is not a regular file");
    return await readHeader(new FileBytes(handle, facts.size));
  } finally {
    await handle.close();
  }
}

async function readHeader(bytes: FileBytes): Promise<GgufHeader> {
  if (bytes.size === 0) throw new UnreadableFile("the file is empty");
  if (bytes.size < 24) throw new UnreadableFile("the file is too short to be a GGUF model");
  await bytes.fill(24);
  if (bytes.u32() !== MAGIC) throw new UnreadableFile("it is not a GGUF file");
  checkVersion(bytes.u32());
  const tensorCount = checkCount(bytes.u64(), "tensors");
  const pairCount = checkCount(bytes.u64(), "metadata entries");
  const metadata = new GgufMetadata();
  for (let index = 0; index < pairCount; index += 1) await metadata.readPair(bytes);
  const tensors = await readTensors(bytes, tensorCount, alignmentOf(metadata));
  const bosText = await metadata.tokenText(bytes, "tokenizer.ggml.bos_token_id");
  const eosText = await metadata.tokenText(bytes, "tokenizer.ggml.eos_token_id");
  metadata.finish();
  return { sizeBytes: bytes.size, metadata, tensorCount, ...tensors, bosText, eosText };
}

function checkVersion(version: number): void {
  if (version === 2 || version === 3) return;
  if ((version & 0xffff) === 0) throw new UnreadableFile("it is a big-endian GGUF file");
  throw new UnreadableFile(`GGUF version ${version} is not supported (2 and 3 are)`);
}

function checkCount(count: number, what: string): number {
  if (count > MAX_COUNT)
    throw new UnreadableFile(`it claims ${count} ${what}, more than ${MAX_COUNT}`);
  return count;
}

function alignmentOf(metadata: GgufMetadata): number {
  const alignment = metadata.number("general.alignment") ?? 32;
  const isPowerOfTwo = Number.isInteger(alignment) && Math.log2(alignment) % 1 === 0;
  if (!isPowerOfTwo || alignment > MAX_ALIGNMENT)
    throw new UnreadableFile(`its alignment of ${alignment} bytes is not valid`);
  return alignment;
}

interface TensorTotals {
  parameterCount: number;
  tensorBytes: number;
  mainTensorType: string | null;
}

/** Walks the tensor list and checks that each tensor's data lies inside the file. */
async function readTensors(
  bytes: FileBytes,
  count: number,
  alignment: number,
): Promise<TensorTotals> {
  const bytesByType = new Map<string, number>();
  let parameterCount = 0;
  let tensorBytes = 0;
  let dataEnd = 0;
  for (let index = 0; index < count; index += 1) {
    const tensor = await readTensor(bytes);
    if (tensor.offset % alignment !== 0)
      throw new UnreadableFile(`tensor ${index} is not aligned to ${alignment} bytes`);
    parameterCount += tensor.elements;
    tensorBytes += tensor.sizeBytes;
    dataEnd = Math.max(dataEnd, tensor.offset + tensor.sizeBytes);
    bytesByType.set(tensor.type, (bytesByType.get(tensor.type) ?? 0) + tensor.sizeBytes);
  }
  const dataStart = Math.ceil(bytes.position / alignment) * alignment;
  if (count > 0 && dataStart + dataEnd > bytes.size)
    throw new UnreadableFile(
      `the file is truncated: it holds ${bytes.size} of ${dataStart + dataEnd} bytes`,
    );
  const largest = [...bytesByType].toSorted((a, b) => b[1] - a[1])[0];
  return { parameterCount, tensorBytes, mainTensorType: largest?.[0] ?? null };
}

async function readTensor(
  bytes: FileBytes,
): Promise<{ type: string; elements: number; sizeBytes: number; offset: number }> {
  await bytes.fill(8);
  const nameBytes = bytes.u64();
  if (nameBytes > MAX_NAME_BYTES)
    throw new UnreadableFile(`a tensor name of ${nameBytes} bytes is too long`);
  await bytes.fill(nameBytes + 4);
  bytes.skip(nameBytes);
  const dimensions = bytes.u32();
  if (dimensions > MAX_DIMENSIONS)
    throw new UnreadableFile(`a tensor claims ${dimensions} dimensions`);
  await bytes.fill(dimensions * 8 + 12);
  let elements = 1;
  let rowLength = 1;
  for (let dimension = 0; dimension < dimensions; dimension += 1) {
    const length = bytes.u64();
    if (dimension === 0) rowLength = length;
    elements *= length;
    // Also catches products that overflow: a double only grows.
    if (elements > Number.MAX_SAFE_INTEGER || length > Number.MAX_SAFE_INTEGER)
      throw new UnreadableFile("a tensor's dimensions are too large");
  }
  const typeNumber = bytes.u32();
  const type = TENSOR_TYPES.get(typeNumber);
  if (type === undefined) throw new UnreadableFile(`tensor type ${typeNumber} is not known`);
  if (rowLength % type.blockSize !== 0)
    throw new UnreadableFile(`a ${type.name} tensor has rows of ${rowLength} elements`);
  const sizeBytes = (elements / type.blockSize) * type.blockBytes;
  return { type: type.name, elements, sizeBytes, offset: bytes.u64() };
}
