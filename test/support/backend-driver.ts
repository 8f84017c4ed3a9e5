import { expect } from "bun:test";
import type { Model, ModelContext, Sampler } from "../../src/llama/backend.ts";

/** Runs `body` and disposes what it was given, in any case. */
export function using<Part extends { dispose(): void }>(
  part: Part,
  body: (part: Part) => void,
): void {
  try {
    body(part);
  } finally {
    part.dispose();
  }
}

/** Adds tokens to the batch from a position on; the last is an output. @returns its row. */
export function addTokens(
  context: ModelContext,
  tokens: Iterable<number>,
  sequence: number,
  from = 0,
): number {
  const list = [...tokens];
  let row = -1;
  for (const [index, token] of list.entries()) {
    row = context.batch.add(token, from + index, sequence, index === list.length - 1);
  }
  return row;
}

/** Decodes one sequence alone. @returns a copy of its last logits. */
export function logitsOf(
  context: ModelContext,
  tokens: Iterable<number>,
  sequence: number,
  from = 0,
): Float32Array {
  context.batch.clear();
  const row = addTokens(context, tokens, sequence, from);
  expect(context.decode()).toBe("ok");
  return context.logits(row).slice();
}

/** Samples, decodes and repeats. @returns the tokens, without the end. */
export function generate(
  model: Model,
  context: ModelContext,
  sampler: Sampler,
  prompt: Int32Array,
  count: number,
  sequence = 0,
): number[] {
  const tokens: number[] = [];
  context.batch.clear();
  let row = addTokens(context, prompt, sequence);
  for (let position = prompt.length; tokens.length < count; position++) {
    expect(context.decode()).toBe("ok");
    const token = sampler.sample(row);
    sampler.accept(token);
    if (model.vocabulary.isEndOfGeneration(token)) break;
    tokens.push(token);
    context.batch.clear();
    row = context.batch.add(token, position, sequence, true);
  }
  return tokens;
}

export function largestDifference(one: Float32Array, other: Float32Array): number {
  return one.reduce((worst, value, at) => Math.max(worst, Math.abs(value - other[at]!)), 0);
}

export function cosine(one: Float32Array, other: Float32Array): number {
  const dot = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, value, at) => sum + value * b[at]!, 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

export function spell(model: Model, tokens: Iterable<number>): string {
  const pieces = [...tokens].map((token) => model.vocabulary.piece(token, true));
  return Buffer.concat(pieces).toString("utf8");
}
