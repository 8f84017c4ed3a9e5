import { createHash, type Hash } from "node:crypto";
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ModelFacts } from "../../llama/backend.ts";
import type { LoadOptions } from "../../protocol/commands.ts";

/** Pieces of a file that are read: enough that no two sets of weights agree in all of them. */
const SAMPLES = 64;
const SAMPLE_BYTES = 32 * 1024;
const SHARD = /^(.*)-\d{5}-of-(\d{5})\.gguf$/;

/** The architecture's own key of the context it was trained for before its positions were stretched. */
const ORIGINAL_CONTEXT = "rope.scaling.original_context_length";

export interface LoadedModel {
  facts: ModelFacts;
  metadata(): ReadonlyMap<string, string>;
}

/**
 * A name for everything that decides the state of a sequence: the weights, the build that computes
 * and the settings it computes with. States of another name are of no use. Reads 2 MiB per file.
 */
export function fingerprintOf(
  options: LoadOptions,
  model: LoadedModel,
  build: { buildId: string; contextLength: number },
): string {
  const hash = createHash("sha256");
  for (const path of shardsOf(options.modelPath)) sample(hash, path);
  for (const { path, name } of options.adapters ?? []) {
    hash.update(`adapter ${name} `);
    sample(hash, path);
  }
  const { kvTypeK, kvTypeV, flashAttention, ropeFreqBase, ropeFreqScale, gpuLayers } = options;
  const { architecture, devices } = model.facts;
  const original = Number(model.metadata().get(`${architecture}.${ORIGINAL_CONTEXT}`) ?? 0);
  // Some models choose their rotary factors by this.
  const isStretched = original > 0 && build.contextLength > original;
  const { experts } = options;
  const settings = {
    experts,
    kvTypeK,
    kvTypeV,
    flashAttention,
    ropeFreqBase,
    ropeFreqScale,
    gpuLayers,
  };
  hash.update(JSON.stringify([build.buildId, settings, devices, isStretched]));
  return hash.digest("hex").slice(0, 32);
}

/** Every file of a model whose first one is `path`. */
function shardsOf(path: string): string[] {
  const match = SHARD.exec(basename(path));
  if (match === null) return [path];
  const [, stem, count] = match;
  return readdirSync(dirname(path))
    .filter((name) => {
      const other = SHARD.exec(name);
      return other?.[1] === stem && other?.[2] === count;
    })
    .sort()
    .map((name) => join(dirname(path), name));
}

function sample(hash: Hash, path: string): void {
  const file = openSync(path, "r");
  try {
    const { size, mtimeMs } = fstatSync(file);
    hash.update(`${size} ${mtimeMs} `);
    const buffer = new Uint8Array(SAMPLE_BYTES);
    const step = Math.max(SAMPLE_BYTES, Math.floor(size / SAMPLES));
    for (let at = 0; at < size; at += step) {
      const read = readSync(file, buffer, 0, SAMPLE_BYTES, at);
      hash.update(buffer.subarray(0, read));
    }
  } finally {
    closeSync(file);
  }
}
