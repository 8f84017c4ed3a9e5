import { expect, test } from "bun:test";
import { PoolCounters } from "../../../src/pool/counters.ts";
import { EngineJobs, type NewJob } from "../../../src/pool/engine-jobs.ts";
import { ENGINE_LIMITS } from "../../../src/pool/engine-limits.ts";
import type { JobEvent } from "../../../src/protocol/events.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const prompt = { kind: "text", text: "Hi" };
const generate = { type: "generate", job: { prompt } } as unknown as NewJob;
const embed = { type: "embed", inputs: ["a"] } as unknown as NewJob;
const accepted = (jobId: number): JobEvent => ({
  type: "accepted",
  jobId,
  promptTokens: 3,
  cachedTokens: 0,
});
const text = (jobId: number): JobEvent => ({ type: "text", jobId, choice: 0, text: "", tokens: 1 });
const failed = (jobId: number): JobEvent => ({
  type: "jobFailed",
  jobId,
  code: "internal",
  details: {},
  message: "",
});

test("an engine is at what is nearest to an answer", () => {
  const jobs = new EngineJobs({
    model: "m",
    parallel: 4,
    maxQueue: 4,
    limits: ENGINE_LIMITS,
    clock: new ManualClock(),
    counters: new PoolCounters(),
    send: () => undefined,
  });
  let step = 0;
  const take = (event: JobEvent): string => {
    jobs.step((step += 1), [event], 0);
    return jobs.activity;
  };
  expect(jobs.activity).toBe("idle");
  const vectors = jobs.open(embed);
  expect(jobs.activity).toBe("embedding");
  const [first, second] = [jobs.open(generate), jobs.open(generate)];
  // Those that wait are not what it is at.
  expect(jobs.activity).toBe("embedding");
  expect(take(accepted(first.id))).toBe("processing-prompt");
  expect(take({ type: "progress", jobId: first.id, processed: 1, total: 3 })).toBe(
    "processing-prompt",
  );
  expect(take(text(first.id))).toBe("generating");
  expect(take(accepted(second.id))).toBe("generating");
  expect(take(failed(first.id))).toBe("processing-prompt");
  expect(take(failed(second.id))).toBe("embedding");
  expect(take(failed(vectors.id))).toBe("idle");
});
