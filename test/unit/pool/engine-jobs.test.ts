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

const counters = new PoolCounters();
const newJobs = (clock = new ManualClock()): EngineJobs =>
  new EngineJobs({
    model: "m",
    parallel: 4,
    maxQueue: 4,
    limits: { ...ENGINE_LIMITS, muteSteps: 1_000 },
    clock,
    counters,
    send: () => undefined,
  });

test("an engine is at what is nearest to an answer", () => {
  const jobs = newJobs();
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

test("an engine may be at a prompt while a slot is free for one that waits", () => {
  const jobs = newJobs();
  let step = 0;
  const take = (event: JobEvent): boolean => {
    jobs.step((step += 1), [event], 0);
    return jobs.mayReadPrompt;
  };
  expect(jobs.mayReadPrompt).toBe(false);
  jobs.open({ type: "inspect" });
  expect(jobs.mayReadPrompt).toBe(false);
  const [first, ...others] = [1, 2, 3, 4, 5].map(() => jobs.open(generate));
  expect(jobs.mayReadPrompt).toBe(true);
  expect(take(accepted(first?.id ?? 0))).toBe(true);
  expect(take(text(first?.id ?? 0))).toBe(true);
  for (const { id } of others.slice(0, 3)) jobs.step((step += 1), [accepted(id), text(id)], 0);
  // The fifth waits until one of the four is over.
  expect(jobs.mayReadPrompt).toBe(false);
  expect(take(failed(first?.id ?? 0))).toBe(true);
  const fifth = others[3]?.id ?? 0;
  expect(take(accepted(fifth))).toBe(true);
  expect(take(text(fifth))).toBe(false);
  const vectors = jobs.open(embed);
  expect(jobs.mayReadPrompt).toBe(true);
  expect(take(failed(vectors.id))).toBe(false);
});

test("a job that comes while a step of answers is under way is no prompt before the next step", () => {
  const clock = new ManualClock();
  const jobs = newJobs(clock);
  const first = jobs.open(generate);
  clock.advance(60_000);
  // Nothing else runs, and whatever comes is begun at once.
  expect(jobs.mayReadPrompt).toBe(true);
  jobs.step(1, [accepted(first.id), text(first.id)], 0);
  clock.advance(5_000);
  const late = jobs.open(generate);
  clock.advance(60_000);
  expect(jobs.mayReadPrompt).toBe(false);
  // The next step takes it in, without a word of it before its prompt is computed.
  jobs.step(2, [text(first.id)], 0);
  expect(jobs.mayReadPrompt).toBe(true);
  clock.advance(60_000);
  expect(jobs.mayReadPrompt).toBe(true);
  jobs.step(3, [accepted(late.id), text(late.id)], 0);
  expect(jobs.mayReadPrompt).toBe(false);
  // Sent as a step ends it may just be taken in by the one that begins.
  jobs.open(generate);
  expect(jobs.mayReadPrompt).toBe(true);
});

test("a job that comes behind the end of all others is a prompt at once", () => {
  const clock = new ManualClock();
  const jobs = newJobs(clock);
  const first = jobs.open(generate);
  jobs.step(1, [accepted(first.id), text(first.id), failed(first.id)], 0);
  clock.advance(60_000);
  jobs.open(generate);
  expect(jobs.mayReadPrompt).toBe(true);
});

test("a job that lost its slot waits for another as long as it takes, and its reader is told nothing", async () => {
  const jobs = newJobs();
  const job = jobs.open(generate);
  jobs.step(1, [accepted(job.id), text(job.id)], 0);
  jobs.step(2, [{ type: "requeued", jobId: job.id }], 0);
  expect([jobs.running, jobs.queued, jobs.activity]).toEqual([0, 1, "idle"]);
  for (let step = 3; step < 5_000; step += 1) jobs.step(step, [], 0);
  // It has begun to answer: what ends those that wait for an answer leaves it alone.
  jobs.abandonWaiting(new Error("closing"));
  expect([jobs.queued, counters.mutedJobs]).toEqual([1, 0]);
  jobs.step(5_000, [{ type: "resumed", jobId: job.id }], 0);
  // Its prompt and what it had answered are computed again, which no step tells the end of.
  expect([jobs.running, jobs.queued, jobs.activity]).toEqual([1, 0, "processing-prompt"]);
  expect(jobs.mayReadPrompt).toBe(true);
  for (let step = 5_001; step < 5_900; step += 1) jobs.step(step, [], 0);
  jobs.step(5_900, [text(job.id)], 0);
  expect([jobs.activity, jobs.mayReadPrompt]).toEqual(["generating", false]);
  expect((await job.events.next()).type).toBe("accepted");
  expect(await job.events.next()).toMatchObject({ type: "text", tokens: 2 });
  expect(counters.mutedJobs).toBe(0);
  for (let step = 5_901; step < 7_000; step += 1) jobs.step(step, [], 0);
  expect(counters.mutedJobs).toBe(1);
});

test("the steps between a cancel and its effect are measured, and the most of them kept", () => {
  const jobs = newJobs();
  const [slow, quick] = [jobs.open(generate), jobs.open(generate)];
  const cancelled = (jobId: number, step: number): JobEvent => {
    return { type: "cancelled", jobId, stage: "decode", step };
  };
  jobs.step(7, [accepted(slow.id), accepted(quick.id)], 0);
  jobs.abandon(slow, new Error("left"));
  jobs.step(9, [], 0);
  jobs.abandon(quick, new Error("left"));
  // Told with a later step than the one after which it took effect.
  jobs.step(11, [cancelled(slow.id, 10)], 0);
  expect(counters.cancelStepsMax).toBe(3);
  jobs.step(12, [cancelled(quick.id, 10)], 0);
  expect(counters.cancelStepsMax).toBe(3);
});
