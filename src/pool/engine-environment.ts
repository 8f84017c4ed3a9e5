const NAMES: ReadonlySet<string> = new Set([
  "PATH",
  "HOME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
  "LD_LIBRARY_PATH",
  "DYLD_LIBRARY_PATH",
  "XDG_RUNTIME_DIR",
  "XDG_DATA_DIRS",
  "SYSTEMROOT",
  "SYSTEMDRIVE",
  "WINDIR",
  "TEMP",
  "TMP",
  "USERPROFILE",
  "PROGRAMDATA",
]);

/** Settings of compute libraries and GPU drivers. */
const PREFIXES: readonly string[] = [
  "CUDA_",
  "NVIDIA_",
  "GGML_",
  "VK_",
  "HIP_",
  "HSA_",
  "ROCR_",
  "ROCM_",
  "MTL_",
  "METAL_",
  "MESA_",
];

const SECRET = /KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL/;

/**
 * The part of the environment an engine gets: what finds libraries and devices, and nothing else.
 * An engine runs native code over files of unknown origin, so keys and tokens stay out of its
 * memory; `BUN_OPTIONS` and `BUN_BE_BUN` would change what the executable does.
 */
export function engineEnvironment(
  source: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined) continue;
    const upper = name.toUpperCase();
    const known = NAMES.has(upper) || PREFIXES.some((prefix) => upper.startsWith(prefix));
    if (known && !SECRET.test(upper)) kept[name] = value;
  }
  return kept;
}
