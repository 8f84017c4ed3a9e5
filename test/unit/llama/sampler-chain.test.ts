import { describe, expect, test } from "bun:test";
import { planChain } from "../../../src/llama/sampler-chain.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../../../src/protocol/sampling.ts";

const plan = (changes: Partial<Sampling>, choice = 0) =>
  planChain({ ...DEFAULT_SAMPLING, seed: 5, ...changes }, choice, 4096);

describe("the plan of a sampler chain", () => {
  type Case = { name: string; changes: Partial<Sampling>; names: string[]; draw: string };
  const cases: Case[] = [
    {
      name: "defaults",
      changes: {},
      names: ["top_k", "top_p", "min_p", "temperature"],
      draw: "dist",
    },
    { name: "greedy", changes: { temperature: 0 }, names: [], draw: "argmax" },
    {
      name: "greedy keeps what moves logits",
      changes: {
        temperature: 0,
        repeatPenalty: 1.1,
        dryMultiplier: 0.8,
        topK: 5,
        xtcProbability: 1,
      },
      names: ["penalties", "dry"],
      draw: "argmax",
    },
    {
      name: "everything on, in the usual order",
      changes: {
        presencePenalty: 1,
        dryMultiplier: 1,
        topNSigma: 1,
        typicalP: 0.9,
        xtcProbability: 0.5,
      },
      names: [
        "penalties",
        "dry",
        "top_n_sigma",
        "top_k",
        "typ_p",
        "top_p",
        "min_p",
        "xtc",
        "temperature",
      ],
      draw: "dist",
    },
    {
      name: "an order of the request's own",
      changes: { samplers: ["temperature", "min_p", "top_k"] },
      names: ["temperature", "min_p", "top_k"],
      draw: "dist",
    },
    {
      name: "all off",
      changes: { topK: 0, topP: 1, minP: 0 },
      names: ["temperature"],
      draw: "dist",
    },
    { name: "mirostat 1", changes: { mirostat: 1 }, names: [], draw: "mirostat1" },
    { name: "mirostat 2", changes: { mirostat: 2 }, names: [], draw: "mirostat2" },
    {
      name: "greedy beats mirostat",
      changes: { mirostat: 2, temperature: 0 },
      names: [],
      draw: "argmax",
    },
    {
      name: "adaptive-p draws at the end",
      changes: { adaptiveTarget: 0.5, samplers: ["adaptive_p", "min_p"] },
      names: ["min_p"],
      draw: "adaptive",
    },
    {
      name: "adaptive-p without a target is off",
      changes: { samplers: ["adaptive_p", "min_p"] },
      names: ["min_p"],
      draw: "dist",
    },
  ];
  test.each(cases)("$name", ({ changes, names, draw }) => {
    const { names: found, draw: drawn } = plan(changes);
    expect([found as string[], drawn as string]).toEqual([names, draw]);
  });

  test("history is as long as the furthest look back, and -1 is the whole context", () => {
    expect(plan({}).historyLength).toBe(0);
    expect(plan({ repeatPenalty: 1.1 }).historyLength).toBe(64);
    expect(plan({ repeatPenalty: 1.1, repeatLastN: -1 }).historyLength).toBe(4096);
    expect(plan({ dryMultiplier: 1, dryPenaltyLastN: 200, repeatPenalty: 2 }).historyLength).toBe(
      200,
    );
    expect(plan({ repeatPenalty: 1.1, repeatLastN: 0 }).historyLength).toBe(0);
    expect(plan({ repeatPenalty: 1.1, samplers: ["top_k"] }).historyLength).toBe(0);
  });

  test("only the best candidates matter when top-k comes before what looks at all", () => {
    expect(plan({}).bestCount).toBe(40);
    expect(plan({ repeatPenalty: 1.1 }).bestCount).toBe(40);
    expect(plan({ temperature: 0, repeatPenalty: 1.1 }).bestCount).toBe(1);
    expect(plan({ topNSigma: 1 }).bestCount).toBeNull();
    expect(plan({ topK: 0 }).bestCount).toBeNull();
    expect(plan({ samplers: ["top_p", "top_k"] }).bestCount).toBeNull();
    expect(plan({ mirostat: 2 }).bestCount).toBeNull();
  });

  test("each choice has a seed of its own, and none is the one that means random", () => {
    expect([plan({}, 0).seed, plan({}, 3).seed]).toEqual([5, 8]);
    expect(plan({ seed: null }).seed).toBe(0xffff_ffff);
    expect(plan({ seed: 0xffff_fffe }, 1).seed).toBe(0);
  });
});
