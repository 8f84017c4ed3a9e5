import type { Sampling } from "../protocol/sampling.ts";
import type { Vocabulary } from "./backend.ts";

/**
 * What is added to each logit. Ids outside the vocabulary are ignored; a text means each of its
 * tokens; null bans. Entries for the same token add up.
 */
export function resolveLogitBias(
  entries: Sampling["logitBias"],
  vocabulary: Vocabulary,
): ReadonlyMap<number, number> {
  const biases = new Map<number, number>();
  for (const [target, bias] of entries) {
    const tokens =
      typeof target === "string" ? vocabulary.tokenize(target, false, false) : [target];
    for (const token of tokens) {
      if (token < 0 || token >= vocabulary.size) continue;
      biases.set(token, (biases.get(token) ?? 0) + (bias ?? -Infinity));
    }
  }
  return biases;
}
