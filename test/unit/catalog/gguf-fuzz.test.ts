import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { piece, tinyModel } from "../../../scripts/make-hostile-gguf.ts";
import { scanGguf } from "../../../src/catalog/gguf-scan.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const WHOLE = tinyModel({
  pairs: [
    piece.number("general.alignment", 32),
    piece.number("llama.attention.head_count_kv", 2),
    piece.strings(
      "tokenizer.ggml.tokens",
      Array.from({ length: 40 }, (_, id) => `t${id}`),
    ),
    piece.number("tokenizer.ggml.bos_token_id", 1),
    piece.string("tokenizer.chat_template", "{{ messages }}"),
  ],
  tensors: [piece.tensor("a", [32, 32], 0, 0), piece.tensor("b", [32, 32], 8, 4096)],
  dataBytes: 4096 + 1088,
});
const HEAD = WHOLE.length - 4096 - 1088;

const offset = fc.nat(HEAD - 9);
const number = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    2n ** 20n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const edit = fc.oneof(
  fc.record({ kind: fc.constant("u64" as const), at: offset, value: number }),
  fc.record({ kind: fc.constant("u8" as const), at: offset, value: fc.nat(255) }),
  fc.record({ kind: fc.constant("cut" as const), at: fc.nat(WHOLE.length) }),
  fc.record({
    kind: fc.constant("repeat" as const),
    at: offset,
    count: fc.integer({ min: 1, max: 64 }),
  }),
  fc.record({
    kind: fc.constant("drop" as const),
    at: offset,
    count: fc.integer({ min: 1, max: 64 }),
  }),
);
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;

function apply(bytes: Buffer, change: Edit): Buffer {
  const at = Math.min(change.at, Math.max(0, bytes.length - 8));
  switch (change.kind) {
    case "u64":
      if (bytes.length >= 8) bytes.writeBigUInt64LE(change.value, at);
      return bytes;
    case "u8":
      if (bytes.length > 0) bytes[at] = change.value;
      return bytes;
    case "cut":
      return bytes.subarray(0, change.at);
    case "repeat":
      return Buffer.concat([bytes.subarray(0, at + change.count), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + change.count)]);
  }
}

test("any mutation of a model file is read or refused with a reason", async () => {
  using folder = tempFolder();
  const path = join(folder.path, "mutated.gguf");
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      writeFileSync(path, edits.reduce(apply, Buffer.from(WHOLE)));
      try {
        const header = await scanGguf(path);
        expect(header.parameterCount).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
        expect(header.tensorBytes).toBeLessThanOrEqual(header.sizeBytes * header.tensorCount);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "UnreadableFile") throw error;
        expect(error.message.length).toBeGreaterThan(10);
        refused += 1;
      }
    }),
    { numRuns: 1_500, seed: 20_261_123 },
  );
  // The mutations must reach what they are meant to break.
  expect(refused).toBeGreaterThan(500);
});
