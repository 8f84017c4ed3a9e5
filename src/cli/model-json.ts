import type { ListedModel } from "./listed-model.ts";

/**
 * One model as `ls --json` prints it; the keys are those of LM Studio's `lms ls --json`, and
 * `source`, which says where the file was found.
 * @param variants its quantisations when there are several of them, itself included.
 */
export function modelJson(
  model: ListedModel,
  variants: readonly ListedModel[],
): Record<string, unknown> {
  const { kind, key, displayName, publisher, path, sizeBytes, maxContextLength, quantization } =
    model;
  return {
    type: kind,
    modelKey: key,
    format: "gguf",
    displayName,
    publisher,
    path,
    indexedModelIdentifier: key,
    sizeBytes,
    maxContextLength,
    deviceIdentifier: null,
    source: model.source,
    ...(model.parameters !== null && { paramsString: model.parameters }),
    ...(model.architecture !== null && { architecture: model.architecture }),
    ...(quantization !== null && {
      quantization: { name: quantization, bits: bitsOf(quantization) },
    }),
    ...(variants.length > 1 && {
      variants: variants.map((variant) => variant.variant),
      selectedVariant: model.variant,
    }),
    ...(kind === "llm" && {
      vision: false,
      trainedForToolUse: model.knowsTools,
    }),
  };
}

/** Bits per weight as the name says them: Q4_K_M = 4, F16 = 16. */
export function bitsOf(quantization: string): number | null {
  const digits = /(?:MXFP|NVFP|BF|FP|F|TQ|IQ|Q)(\d+)/.exec(quantization)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Base 1000 with two decimals, as LM Studio's command line. */
export function sizeText(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = bytes < 1_000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1_000 ** power;
  return `${power === 0 ? value : value.toFixed(2)} ${units[power]}`;
}

/** Base 1024, as LM Studio writes memory. */
export function gibText(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib < 0.1 ? `${(bytes / 2 ** 20).toFixed(2)} MiB` : `${gib.toFixed(2)} GiB`;
}
