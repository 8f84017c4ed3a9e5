/**
 * Measures what a grammar costs: processor time per generated token with and without one, on one
 * thread, alternately in one run. Only the ratio means something.
 *
 * bun scripts/bench/grammar.ts --model FILE.gguf [--schema FILE.json] [--prompt TEXT]
 *   [--tokens 64] [--rounds 5] [--temperature 0.8] [--top-k 40] [--min-p 0.05]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { schemaGrammar } from "../../src/chat/grammar/schema-grammar.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../src/protocol/sampling.ts";
import { llamaLibraries } from "../../test/support/llama-libraries.ts";

/** Long enough to fill any run: many short strings, numbers and choices. */
const PEOPLE = {
  type: "array",
  minItems: 100,
  items: {
    type: "object",
    properties: {
      name: { type: "string", maxLength: 40 },
      age: { type: "integer", minimum: 0, maximum: 130 },
      role: { enum: ["reader", "writer", "owner"] },
      tags: { type: "array", items: { type: "string", maxLength: 20 }, maxItems: 4 },
    },
    required: ["name", "age", "role", "tags"],
    additionalProperties: false,
  },
};

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    schema: { type: "string" },
    prompt: { type: "string", default: "List the people of the village as JSON.\n" },
    tokens: { type: "string", default: "64" },
    rounds: { type: "string", default: "5" },
    temperature: { type: "string", default: `${DEFAULT_SAMPLING.temperature}` },
    "top-k": { type: "string", default: `${DEFAULT_SAMPLING.topK}` },
    "min-p": { type: "string", default: `${DEFAULT_SAMPLING.minP}` },
  },
});

const libraryDir = llamaLibraries();
if (values.model === undefined || libraryDir === null) {
  throw new Error("--model FILE.gguf and llama.cpp's libraries are needed");
}
const schema: unknown =
  values.schema === undefined ? PEOPLE : JSON.parse(readFileSync(values.schema, "utf8"));
const schemaGbnf = schemaGrammar(schema, "schema").gbnf;
const backend = createFfiBackend({ libraryDir, onLog: () => undefined });
const model = backend.loadModel(
  { path: values.model, gpuLayers: "off", contextLength: null, mmap: true },
  () => undefined,
);
const prompt = model.vocabulary.tokenize(values.prompt, true, false);
const count = Number(values.tokens);
const context = model.createContext({
  purpose: "generate",
  contextLength: prompt.length + count + 1,
  sequences: 1,
  batchCapacity: Math.max(prompt.length, 1),
  threads: 1,
  kvTypeK: "f16",
  kvTypeV: "f16",
  flashAttention: "auto",
});

// The first run reads the weights and prepares the vocabulary.
for (const grammar of [null, schemaGbnf]) run(grammar, 0);
const ratios: number[] = [];
for (let seed = 1; seed <= Number(values.rounds); seed++) {
  const free = run(null, seed);
  const bound = run(schemaGbnf, seed);
  ratios.push(bound.stepMs / free.stepMs);
  console.log(
    `free ${free.stepMs.toFixed(2)} ms per token, of it sampling ${free.sampleMs.toFixed(2)}; ` +
      `with grammar ${bound.stepMs.toFixed(2)}, of it sampling ${bound.sampleMs.toFixed(2)}`,
  );
}
ratios.sort((a, b) => a - b);
const median = ratios[Math.floor(ratios.length / 2)] ?? Number.NaN;
console.log(
  `${model.vocabulary.size} tokens in the vocabulary; the grammar costs ` + percent(median),
);

/** Processor time in milliseconds per token, and the part of it that sampling took. */
function run(gbnf: string | null, seed: number): { stepMs: number; sampleMs: number } {
  const sampling: Sampling = {
    ...DEFAULT_SAMPLING,
    temperature: Number(values.temperature),
    topK: Number(values["top-k"]),
    minP: Number(values["min-p"]),
    ignoreEos: true,
    seed,
  };
  const sampler = context.createSampler(sampling, 0, prompt);
  if (gbnf !== null) sampler.setGrammar(model.createGrammar(gbnf));
  context.removeSequence(0, 0, -1);
  context.batch.clear();
  let row = -1;
  for (const [position, token] of prompt.entries()) {
    row = context.batch.add(token, position, 0, position === prompt.length - 1);
  }
  context.decode();
  let sampleMs = 0;
  const startMs = cpuMs();
  for (let index = 0; index < count; index++) {
    const sampleStartMs = cpuMs();
    const token = sampler.sample(row);
    sampler.accept(token);
    sampleMs += cpuMs() - sampleStartMs;
    context.batch.clear();
    row = context.batch.add(token, prompt.length + index, 0, true);
    context.decode();
  }
  const stepMs = (cpuMs() - startMs) / count;
  sampler.dispose();
  return { stepMs, sampleMs: sampleMs / count };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function percent(ratio: number): string {
  return `${((ratio - 1) * 100).toFixed(1)} % of a step`;
}
