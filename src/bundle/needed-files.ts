import type { BundledFile } from "./manifest.ts";

/** What decides which of the carried files this machine has a use for. */
export interface Machine {
  /** It shows a device of a GPU. */
  hasGpu: boolean;
  /** @see processorFlags */
  flags: ReadonlySet<string> | null;
}

/** `libggml-vulkan.so`, `ggml-cuda.dll`; not `libggml-base.so` and `libggml-cpu-haswell.so`. */
const GPU_BACKEND = /(?:^|\/)(?:lib)?ggml-(?!base|cpu)[a-z]+\.(?:so|dll|dylib)$/;
const CPU_VARIANT = /(?:^|\/)(?:lib)?ggml-cpu-(\w+)\.(?:so|dll|dylib)$/;

/**
 * The files to extract, to verify and to load. GPU backends are two thirds of the bytes and of no use
 * without a device. Of the variants of the CPU backend, llama.cpp would open all, only to ask each
 * whether it is the best one: 20 ms in each engine. Which one that is, the processor's flags tell; the
 * plainest stays beside it, in case the two judge differently.
 *
 * A machine that changes has another folder from then on.
 */
export function neededFiles(
  files: readonly BundledFile[],
  { hasGpu, flags }: Machine,
): readonly BundledFile[] {
  const idle = flags === null ? new Set<string>() : idleVariants(files, flags);
  return files.filter(({ path }) => {
    if (!hasGpu && GPU_BACKEND.test(path)) return false;
    return !idle.has(CPU_VARIANT.exec(path)?.[1] ?? "");
  });
}

/** Variants of the table that are neither the best of those that run here nor the plainest. */
function idleVariants(
  files: readonly BundledFile[],
  flags: ReadonlySet<string>,
): ReadonlySet<string> {
  const carried = new Set(files.map(({ path }) => CPU_VARIANT.exec(path)?.[1] ?? ""));
  const known = VARIANTS.filter(([name]) => carried.has(name));
  const best = known.findLast(([, needs]) => needs.every((flag) => flags.has(flag)));
  return new Set(known.slice(1).flatMap(([name]) => (name === best?.[0] ? [] : [name])));
}

const AVX2 = ["sse4_2", "avx", "f16c", "fma", "avx2", "bmi2"] as const;
const AVX512 = [...AVX2, "avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"] as const;
const VBMI = "avx512vbmi";
const VNNI = "avx512_vnni";
const BF16 = "avx512_bf16";

/**
 * The x86 variants by their scores, the lowest first, with the flags that each was built for. One that
 * is not listed is never left out. Source: llama.cpp v0.5.0, ggml/src/CMakeLists.txt and
 * ggml_backend_cpu_x86_score.
 */
const VARIANTS: readonly (readonly [name: string, needs: readonly string[]])[] = [
  ["x64", []],
  ["sse42", ["sse4_2"]],
  ["sandybridge", ["sse4_2", "avx"]],
  ["ivybridge", ["sse4_2", "avx", "f16c"]],
  ["piledriver", ["sse4_2", "avx", "f16c", "fma"]],
  ["haswell", AVX2],
  ["alderlake", [...AVX2, "avx_vnni"]],
  ["skylakex", AVX512],
  ["cannonlake", [...AVX512, VBMI]],
  ["cascadelake", [...AVX512, VNNI]],
  ["icelake", [...AVX512, VBMI, VNNI]],
  ["cooperlake", [...AVX512, VNNI, BF16]],
  ["zen4", [...AVX512, VBMI, VNNI, BF16]],
  ["sapphirerapids", [...AVX512, VBMI, VNNI, BF16, "amx_tile", "amx_int8"]],
];
