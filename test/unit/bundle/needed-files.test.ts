import { expect, test } from "bun:test";
import type { BundledFile } from "../../../src/bundle/manifest.ts";
import { neededFiles } from "../../../src/bundle/needed-files.ts";
import { flagsOf } from "../../../src/lib/processor-flags.ts";

const asFiles = (paths: readonly string[]): BundledFile[] =>
  paths.map((path) => ({ path, sha256: "", sizeBytes: 1 }));

test("backends of GPUs are extracted where a GPU may be", () => {
  const paths = [
    "lib/libllama.vulkan.v0.5.0.so",
    "lib/libggml.vulkan.v0.5.0.so",
    "lib/libggml-base.so",
    "lib/libggml-cpu-haswell.so",
    "lib/libggml-vulkan.so",
    "lib/ggml-cuda.dll",
    "demo.gguf",
  ];
  const all = asFiles(paths);
  const left = neededFiles(all, { hasGpu: false, flags: null }).map(({ path }) => path);
  expect(left).toEqual(paths.filter((path) => !/ggml-(vulkan|cuda)/.test(path)));
  expect(neededFiles(all, { hasGpu: true, flags: null })).toEqual(all);
});

const VARIANTS =
  "alderlake cannonlake cascadelake cooperlake haswell icelake ivybridge piledriver sandybridge " +
  "sapphirerapids skylakex sse42 x64 zen4";
const variantFiles = asFiles(VARIANTS.split(" ").map((name) => `lib/libggml-cpu-${name}.so`));
const keptOf = (files: readonly BundledFile[], flags: string): string[] =>
  neededFiles(files, { hasGpu: true, flags: new Set(flags.split(" ")) }).map(
    ({ path }) => /cpu-(\w+)/.exec(path)?.[1] ?? path,
  );

const AVX2 = "sse4_2 avx f16c fma avx2 bmi2";
const AVX512 = `${AVX2} avx512f avx512cd avx512vl avx512dq avx512bw`;

test.each([
  ["", ["x64"]],
  ["sse4_2", ["sse42", "x64"]],
  ["sse4_2 avx f16c", ["ivybridge", "x64"]],
  [AVX2, ["haswell", "x64"]],
  [`${AVX2} avx_vnni`, ["alderlake", "x64"]],
  // Half of AVX-512 is none.
  [`${AVX2} avx512f`, ["haswell", "x64"]],
  [`${AVX512} avx_vnni`, ["skylakex", "x64"]],
  [`${AVX512} avx512vbmi avx512_vnni avx512_bf16`, ["x64", "zen4"]],
  [`${AVX512} avx512vbmi avx512_vnni avx512_bf16 amx_tile amx_int8`, ["sapphirerapids", "x64"]],
])("a processor with %j gets its variant and the plainest", (flags, kept) => {
  expect(keptOf(variantFiles, flags)).toEqual(kept);
});

test("where nothing is known of the processor every variant stays, and so does an unknown one", () => {
  expect(neededFiles(variantFiles, { hasGpu: true, flags: null })).toEqual(variantFiles);
  const arm = asFiles(["lib/libggml-cpu-armv8.2_1.so", "lib/libggml-cpu-apple_m1.so"]);
  expect(neededFiles(arm, { hasGpu: true, flags: new Set() })).toEqual(arm);
  const next = asFiles(["lib/libggml-cpu-x64.so", "lib/libggml-cpu-nextgen.so"]);
  expect(keptOf(next, "sse4_2")).toEqual(["x64", "nextgen"]);
});

test("flags are those of the first processor, also when the text is cut", () => {
  const text = "processor\t: 0\nflags\t\t: fpu avx2  amx_int8\nbugs\t\t:\nprocessor\t: 1\nfla";
  expect(flagsOf(text)).toEqual(new Set(["fpu", "avx2", "amx_int8"]));
  expect(flagsOf("processor\t: 0\n")).toBeNull();
});
