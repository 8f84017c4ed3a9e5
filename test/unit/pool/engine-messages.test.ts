import { expect, test } from "bun:test";
import { parseEngineMessage } from "../../../src/pool/engine-messages.ts";
import { jobFailure } from "../../../src/pool/job-failure.ts";
import { SpeedMeter } from "../../../src/pool/speed-meter.ts";

const load = { step: 1, running: 0 };
const step = (event: unknown) => ({ type: "step", seq: 1, load, events: [event] });

const good: unknown[] = [
  { type: "hello", seq: 1, buildId: "b", pid: 1 },
  { type: "loading", seq: 1, fraction: 0.5 },
  { type: "loadFailed", seq: 2, reason: "r" },
  { type: "trouble", seq: 2, cause: "ENOSPC", reason: "no space left on device" },
  step({ type: "text", jobId: 1, choice: 0, text: "", tokens: 0 }),
  step({ type: "cancelled", jobId: 1, stage: "queue", step: 0 }),
];

test.each(good.map((message) => ({ message })))("a message is taken: %j", ({ message }) => {
  expect(parseEngineMessage(message)).toBe(message as never);
});

const bad: unknown[] = [
  null,
  7,
  "hello",
  [],
  {},
  { type: "hello", buildId: "b" },
  { type: "hello", seq: 1.5, buildId: "b" },
  { type: "toString", seq: 1 },
  { type: "__proto__", seq: 1 },
  { type: "ready", seq: 1, model: {} },
  { type: "trouble", seq: 1, cause: "no space", reason: "r" },
  { type: "trouble", seq: 1, cause: "ENOSPC" },
  { type: "step", seq: 1, load, events: {} },
  { type: "step", seq: 1, load: null, events: [] },
  step(null),
  step({ type: "text", jobId: "1", choice: 0, text: "", tokens: 0 }),
  step({ type: "text", jobId: 1, choice: 0, text: 5, tokens: 0 }),
  step({ type: "text", jobId: 1, choice: 0, text: "", tokens: -1 }),
  step({ type: "wobble", jobId: 1 }),
  step({ type: "cancelled", jobId: 1, stage: "later", step: 0 }),
];

test.each(bad.map((message) => ({ message })))("a message is refused: %j", ({ message }) => {
  expect(parseEngineMessage(message)).toBeNull();
});

const failures = [
  {
    code: "context_length_exceeded",
    details: { promptTokens: 9 },
    expected: { promptTokens: 9, contextLength: 0, param: null },
  },
  {
    code: "invalid_request",
    details: { param: "grammar", reason: "invalid_grammar" },
    expected: { param: "grammar", reason: "invalid_grammar" },
  },
  { code: "unsupported_model", details: null, expected: { model: "m" } },
  { code: "internal", details: {}, expected: {} },
  { code: "unauthorized", details: {}, expected: {}, becomes: "internal" },
  { code: "wobble", details: { a: 1 }, expected: {}, becomes: "internal" },
];

test.each(failures)("an engine's refusal: $code", ({ code, details, expected, becomes }) => {
  const event = { type: "jobFailed", jobId: 1, code, message: "why", details } as never;
  const error = jobFailure(event, "m");
  expect([error.code, error.message]).toEqual([(becomes ?? code) as never, "why"]);
  expect(error.details).toEqual(expected);
});

const waits = [
  { name: "nothing measured", jobs: [], open: 4, retryAfterMs: 1_000 },
  { name: "short jobs", jobs: [10, 10], open: 8, retryAfterMs: 1_000 },
  { name: "two rounds of three seconds", jobs: [3_000, 3_000], open: 8, retryAfterMs: 6_000 },
  { name: "a long queue", jobs: [60_000], open: 132, retryAfterMs: 30_000 },
];

test.each(waits)("when to come back: $name", ({ jobs, open, retryAfterMs }) => {
  const meter = new SpeedMeter();
  for (const jobMs of jobs) meter.add(jobMs);
  expect(meter.retryAfterMs(open, 4)).toBe(retryAfterMs);
});
