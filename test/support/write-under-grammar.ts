import type { Model, ModelContext } from "../../src/llama/backend.ts";
import { assert } from "../../src/lib/assert.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../src/protocol/sampling.ts";

const MAX_TOKENS = 600;
const PROMPT = "The answer as JSON:\n";

export const GREEDY: Sampling = { ...DEFAULT_SAMPLING, temperature: 0 };
export const SAMPLED: Sampling = { ...DEFAULT_SAMPLING, temperature: 1, topK: 0, topP: 1, minP: 0 };

/** A context for one answer at a time. The caller disposes it. */
export function smallContext(model: Model): ModelContext {
  return model.createContext({
    purpose: "generate",
    contextLength: 1024,
    sequences: 1,
    batchCapacity: 64,
    threads: 1,
    kvTypeK: "f16",
    kvTypeV: "f16",
    flashAttention: "auto",
  });
}

/** Text the model writes under the grammar; null when it was cut. */
export function writeUnder(
  model: Model,
  context: ModelContext,
  gbnf: string,
  sampling: Sampling,
): string | null {
  const { vocabulary } = model;
  context.removeSequence(0, 0, -1);
  const prompt = vocabulary.tokenize(PROMPT, true, false);
  const sampler = context.createSampler(sampling, 0, prompt);
  sampler.setGrammar(model.createGrammar(gbnf));
  try {
    const pieces: Uint8Array[] = [];
    context.batch.clear();
    let row = 0;
    for (const [position, token] of prompt.entries()) {
      row = context.batch.add(token, position, 0, position === prompt.length - 1);
    }
    for (let count = 0; count < MAX_TOKENS; count++) {
      assert(context.decode() === "ok", "the context is large enough");
      const token = sampler.sample(row);
      sampler.accept(token);
      if (vocabulary.isEndOfGeneration(token)) return Buffer.concat(pieces).toString();
      pieces.push(vocabulary.piece(token, true));
      context.batch.clear();
      row = context.batch.add(token, prompt.length + count, 0, true);
    }
    return null;
  } finally {
    sampler.dispose();
  }
}
