import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import type { ModelDefaults } from "../model.ts";

/** Source: Ollama, docs and `manifest` package: an OCI manifest. */
const Manifest = Type.Object({
  layers: Type.Array(Type.Object({ mediaType: Type.String(), digest: Type.String() }), {
    maxItems: 1_000,
  }),
});

export type OllamaManifest = Static<typeof Manifest>;

/** @returns null when the text is no manifest. */
export function parseManifest(text: string | null): OllamaManifest | null {
  const value = parseJson(text);
  return Value.Check(Manifest, value) ? value : null;
}

const LAYER = "application/vnd.ollama.image.";

/** Digests of one kind of layer, as names of blobs. @returns null for a digest that is none. */
export function blobNames(
  { layers }: OllamaManifest,
  kind: "model" | "adapter" | "template" | "system" | "params",
): readonly string[] | null {
  const digests = layers.filter(({ mediaType }) => mediaType === LAYER + kind);
  const names = digests.map(({ digest }) => /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1] ?? null);
  return names.includes(null) ? null : names.map((hex) => `sha256-${hex}`);
}

/** Ollama's names of what we call otherwise. */
const SAMPLING: ReadonlyMap<string, string> = new Map([
  ["temperature", "temperature"],
  ["top_k", "topK"],
  ["top_p", "topP"],
  ["min_p", "minP"],
  ["typical_p", "typicalP"],
  ["repeat_penalty", "repeatPenalty"],
  ["repeat_last_n", "repeatLastN"],
  ["presence_penalty", "presencePenalty"],
  ["frequency_penalty", "frequencyPenalty"],
  ["mirostat", "mirostat"],
  ["mirostat_tau", "mirostatTau"],
  ["mirostat_eta", "mirostatEta"],
  ["seed", "seed"],
]);

/** Defaults out of the text layers; values of a wrong type are passed over. */
export function defaultsOf(
  goTemplate: string | null,
  system: string | null,
  params: string | null,
): ModelDefaults {
  const found = parseJson(params);
  const entries = found !== null && typeof found === "object" ? Object.entries(found) : [];
  const values = new Map<string, unknown>(entries);
  const sampling = [...SAMPLING].flatMap(([theirs, ours]): [string, number][] => {
    const value = values.get(theirs);
    return typeof value === "number" && Number.isFinite(value) ? [[ours, value]] : [];
  });
  const stop = values.get("stop");
  const contextLength = values.get("num_ctx");
  return {
    goTemplate,
    system,
    sampling: Object.fromEntries(sampling),
    stop: Array.isArray(stop) ? stop.filter((each) => typeof each === "string").slice(0, 64) : [],
    contextLength:
      typeof contextLength === "number" && Number.isInteger(contextLength) && contextLength > 0
        ? contextLength
        : null,
  };
}

function parseJson(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
