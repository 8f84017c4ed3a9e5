import { expect, test } from "bun:test";
import { ENGINE_LIMITS } from "../../../src/pool/engine-limits.ts";
import { SilenceLimit } from "../../../src/pool/silence-limit.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const GB = 1e9;

interface Case {
  name: string;
  /** null = it still loads. */
  modelBytes: number | null;
  batchCapacity?: number;
  stepMs?: number;
  mayReadPrompt: boolean;
  /** Seconds. */
  limit: number;
}

const cases: Case[] = [
  { name: "while it loads", modelBytes: null, mayReadPrompt: false, limit: 600 },
  { name: "a small model at a prompt", modelBytes: 0.5 * GB, mayReadPrompt: true, limit: 30 },
  { name: "a larger model at a prompt", modelBytes: 4 * GB, mayReadPrompt: true, limit: 200 },
  {
    name: "a larger model that computes small pieces",
    modelBytes: 4 * GB,
    batchCapacity: 256,
    mayReadPrompt: true,
    limit: 100,
  },
  {
    name: "the largest model, which a slow disk brings in 15 minutes",
    modelBytes: 70 * GB,
    mayReadPrompt: true,
    limit: 900,
  },
  {
    name: "the largest model while it only answers",
    modelBytes: 70 * GB,
    stepMs: 1_000,
    mayReadPrompt: false,
    limit: 30,
  },
  {
    name: "slow steps while it only answers",
    modelBytes: 70 * GB,
    stepMs: 5_000,
    mayReadPrompt: false,
    limit: 100,
  },
  {
    name: "steps that are slower than what is expected of a prompt",
    modelBytes: 4 * GB,
    stepMs: 20_000,
    mayReadPrompt: true,
    limit: 400,
  },
];

test.each(cases)("how long an engine may be silent: $name", (row) => {
  const clock = new ManualClock();
  const batch = row.batchCapacity ?? 512;
  const silence = new SilenceLimit(ENGINE_LIMITS, batch, () => row.mayReadPrompt, clock);
  if (row.modelBytes !== null) silence.loaded(row.modelBytes);
  for (let n = 0; n < 8; n += 1) {
    silence.step();
    clock.advance(row.stepMs ?? 10);
  }
  expect(silence.ms).toBe(row.limit * 1_000);
});
