import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import type { Model, ModelContext } from "../../src/llama/backend.ts";
import { createFfiBackend } from "../../src/llama/ffi-backend.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../src/protocol/sampling.ts";
import { addTokens, generate } from "../support/backend-driver.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();
const PROMPT = "the rain in the main in the rain in the";

/** Draws from the model's whole distribution: every sampler is off. */
const PLAIN: Sampling = {
  ...DEFAULT_SAMPLING,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 1,
};

describe.if(libraryDir !== null)("llama.cpp's samplers", () => {
  const folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
  let model: Model;
  let context: ModelContext;
  let row: number;
  let history: Int32Array;

  beforeAll(() => {
    const path = join(folder, "model.gguf");
    makeModel({ path, seed: 3 });
    const backend = createFfiBackend({ libraryDir: libraryDir!, onLog: () => undefined });
    model = backend.loadModel(
      { path, gpuLayers: "off", contextLength: null, mmap: true },
      () => undefined,
    );
    context = model.createContext({
      purpose: "generate",
      contextLength: 512,
      sequences: 2,
      batchCapacity: 512,
      threads: 1,
      kvTypeK: "f16",
      kvTypeV: "f16",
      flashAttention: "auto",
    });
    history = model.vocabulary.tokenize(PROMPT, false, false);
    row = addTokens(context, history, 0);
    context.decode();
  });
  afterAll(() => {
    context.dispose();
    model.dispose();
    rmSync(folder, { recursive: true });
  });

  /** How often each token is drawn for the prompt, with seeds 0, 1, 2... */
  function draws(changes: Partial<Sampling>, count = 300): Map<number, number> {
    const found = new Map<number, number>();
    for (let seed = 0; seed < count; seed++) {
      const sampler = context.createSampler({ ...PLAIN, ...changes, seed }, 0, history);
      const token = sampler.sample(row);
      found.set(token, (found.get(token) ?? 0) + 1);
      sampler.dispose();
    }
    return found;
  }

  /** Ids by falling logit. */
  function ranked(): number[] {
    const logits = context.logits(row);
    return Array.from(logits, (_, token) => token).sort((a, b) => logits[b]! - logits[a]!);
  }

  function probabilities(): Float64Array {
    const logits = context.logits(row);
    const top = Math.max(...logits);
    const weights = Float64Array.from(logits, (logit) => Math.exp(logit - top));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }

  test("with all samplers off the draws follow the softmax of the logits", () => {
    const expected = probabilities();
    const found = draws({}, 2000);
    for (const token of ranked().slice(0, 4)) {
      const deviation = Math.sqrt(expected[token]! / 2000);
      expect(Math.abs((found.get(token) ?? 0) / 2000 - expected[token]!)).toBeLessThan(
        5 * deviation,
      );
    }
  });

  test("a sampler in its off position changes no draw", () => {
    const plain = draws({});
    const off: Partial<Sampling>[] = [
      { topK: 0, topP: 1, minP: 0, typicalP: 1, topNSigma: -1 },
      { xtcProbability: 0, xtcThreshold: 0.1 },
      { xtcProbability: 1, xtcThreshold: 0.6 },
      { dryMultiplier: 0, dryAllowedLength: 0 },
      { repeatPenalty: 1, repeatLastN: 64 },
      { repeatPenalty: 2, presencePenalty: 2, repeatLastN: 0 },
      { dynatempRange: 0, dynatempExponent: 3 },
      { mirostat: 0, mirostatTau: 1 },
      { adaptiveTarget: -1, adaptiveDecay: 0.5 },
      { samplers: [], temperature: 1 },
    ];
    for (const changes of off) expect(draws(changes)).toEqual(plain);
  });

  test("top-k keeps the k best", () => {
    expect(new Set(draws({ topK: 3 }).keys())).toEqual(new Set(ranked().slice(0, 3)));
  });

  test("top-p, min-p, typical-p and top-n-sigma keep what their papers say", () => {
    const logits = context.logits(row);
    const p = probabilities();
    const order = ranked();
    const nucleus = (mass: number): number[] => {
      let sum = 0;
      return order.filter((token) => {
        const inside = sum < mass;
        sum += p[token]!;
        return inside;
      });
    };
    const best = order[0]!;
    const mean = logits.reduce((sum, logit) => sum + logit, 0) / logits.length;
    const variance = logits.reduce((sum, logit) => sum + (logit - mean) ** 2, 0) / logits.length;
    const cases: [Partial<Sampling>, number[]][] = [
      [{ topP: 0.5 }, nucleus(0.5)],
      [{ minP: 0.3 }, order.filter((token) => p[token]! >= 0.3 * p[best]!)],
      [
        { topNSigma: 1 },
        order.filter((token) => logits[token]! >= logits[best]! - Math.sqrt(variance)),
      ],
    ];
    for (const [changes, kept] of cases) {
      expect(kept.length).toBeLessThan(order.length);
      const allowed = new Set(kept);
      for (const token of draws(changes).keys()) expect(allowed).toContain(token);
    }
    expect(draws({ typicalP: 0.3 }).size).toBeLessThan(draws({}).size);
  });

  test("XTC takes away the best of several likely ones", () => {
    const [best] = ranked();
    const found = draws({ xtcProbability: 1, xtcThreshold: 0.02 });
    expect(found.has(best!)).toBe(false);
    expect(found.size).toBeGreaterThan(1);
  });

  test("temperature and dynamic temperature spread or gather the draws", () => {
    const share = (changes: Partial<Sampling>) => (draws(changes).get(ranked()[0]!) ?? 0) / 300;
    expect(share({ temperature: 0.2 })).toBeGreaterThan(share({}));
    expect(share({ temperature: 3 })).toBeLessThan(share({}));
    expect(draws({ dynatempRange: 0.9 })).not.toEqual(draws({}));
  });

  test("penalties push what was said away, and negative ones pull it in", () => {
    const said = new Set(history);
    const saidShare = (changes: Partial<Sampling>) =>
      [...draws(changes)].reduce((sum, [token, count]) => sum + (said.has(token) ? count : 0), 0);
    const plain = saidShare({});
    expect(saidShare({ presencePenalty: -5 })).toBeGreaterThan(plain);
    expect(saidShare({ presencePenalty: -5, repeatLastN: 1 })).toBeLessThan(
      saidShare({ presencePenalty: -5 }),
    );
    expect(saidShare({ frequencyPenalty: 50 })).toBe(0);
    expect(saidShare({ presencePenalty: 50 })).toBe(0);
    expect(saidShare({ repeatPenalty: 3 })).not.toBe(plain);
  });

  test("DRY makes the continuation of a repeated phrase unlikely", () => {
    const next = model.vocabulary.tokenize(" rain", false, false)[0]!;
    const pull: Sampling["logitBias"] = [[next, 30]];
    expect(draws({ logitBias: pull }).get(next)).toBe(300);
    const dry = { dryMultiplier: 50, dryAllowedLength: 1, drySequenceBreakers: ["\n"] };
    expect(draws({ logitBias: pull, ...dry }).get(next) ?? 0).toBe(0);
    const broken = { ...dry, drySequenceBreakers: [" the", "the", " "] };
    expect(draws({ logitBias: pull, ...broken }, 20).get(next)).toBe(20);
  });

  test("mirostat 1, mirostat 2 and adaptive-p draw in ways of their own, the same per seed", () => {
    const ways: Partial<Sampling>[] = [
      { mirostat: 1, mirostatTau: 1 },
      { mirostat: 2, mirostatTau: 1 },
      { adaptiveTarget: 0.05, samplers: ["min_p", "adaptive_p"] },
    ];
    for (const changes of ways) {
      const found = draws(changes);
      expect(found).not.toEqual(draws({}));
      expect(draws(changes)).toEqual(found);
    }
  });

  test("the shortcut to the best candidates draws exactly what the whole vocabulary does", () => {
    const base: Partial<Sampling> = {
      topK: 3,
      topP: 0.95,
      repeatPenalty: 1.3,
      presencePenalty: -0.5,
      logitBias: [
        [ranked()[0]!, -1],
        [5, 9],
      ],
    };
    // A sigma this wide keeps all, but makes all candidates take part.
    expect(draws({ ...base, topNSigma: 1e6 })).toEqual(draws(base));
  });

  test("greedy with penalties takes the largest logit that they leave", () => {
    const sampler = context.createSampler(
      { ...PLAIN, temperature: 0, repeatPenalty: 1, presencePenalty: 1e6, repeatLastN: -1 },
      0,
      history,
    );
    const tokens = generate(model, context, sampler, history.subarray(0, 4), 60, 1);
    sampler.dispose();
    context.removeSequence(1, 0, -1);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens.some((token) => history.includes(token))).toBe(false);
    context.batch.clear();
    context.removeSequence(0, 0, -1);
    row = addTokens(context, history, 0);
    context.decode();
  });

  test("a repeat penalty of zero is refused as the caller's mistake", () => {
    expect(() => context.createSampler({ ...PLAIN, repeatPenalty: 0 }, 0, history)).toThrow(
      /repeat_penalty/,
    );
  });
});
