import { bitsOf, largest } from "../llama/largest.ts";
import type { TokenCandidate, TokenLogprob } from "../protocol/events.ts";
import type { PieceTable } from "./pieces.ts";

/** The least log probability on the wire: JSON has no infinity. */
const FLOOR = -9999;

/** Indices of the `count` largest values, best first; ties by lower index. One pass, no sort. */
export function bestIndices(values: Float32Array, count: number): number[] {
  const best: number[] = [];
  if (count === 0) return best;
  let threshold = -Infinity;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? -Infinity;
    if (value <= threshold && best.length === count) continue;
    let place = best.length;
    while (place > 0 && value > (values[best[place - 1] ?? 0] ?? -Infinity)) place--;
    best.splice(place, 0, index);
    if (best.length > count) best.pop();
    threshold = values[best[best.length - 1] ?? 0] ?? -Infinity;
  }
  return best;
}

/** ln(sum(exp(values))): subtracting it turns logits into log probabilities. */
function logSumExp(values: Float32Array): number {
  const max = largest(values, bitsOf(values), 0, values.length);
  if (max === -Infinity) return 0;
  // Below this, e to the difference adds nothing that a sum of this length could show.
  const negligible = max - 40;
  let sum = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? -Infinity;
    if (value > negligible) sum += Math.exp(value - max);
  }
  return max + Math.log(sum);
}

/** 0 to 1, before any sampler had its say. */
export function probabilityOf(logits: Float32Array, token: number): number {
  return Math.exp((logits[token] ?? -Infinity) - logSumExp(logits));
}

/**
 * The log probability of `token` and of the `topCount` best, from raw logits of shape [vocabSize]:
 * before any sampler had its say.
 */
export function scoreToken(
  logits: Float32Array,
  token: number,
  topCount: number,
  pieces: PieceTable,
): TokenLogprob {
  const normaliser = logSumExp(logits);
  const candidate = (id: number): TokenCandidate => {
    const logprob = (logits[id] ?? -Infinity) - normaliser;
    return {
      id,
      text: pieces.text(id),
      bytes: Array.from(pieces.get(id).bytes),
      logprob: logprob > FLOOR ? logprob : FLOOR,
    };
  };
  return { ...candidate(token), top: bestIndices(logits, topCount).map(candidate) };
}

/** The first token of a prompt has no score: nothing came before it. */
export function unscoredToken(token: number, pieces: PieceTable): TokenLogprob {
  return {
    id: token,
    text: pieces.text(token),
    bytes: Array.from(pieces.get(token).bytes),
    logprob: 0,
    top: [],
  };
}
