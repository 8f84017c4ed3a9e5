import { expect, test } from "bun:test";
import { LmError } from "../../../src/lib/errors.ts";
import { RestartPolicy } from "../../../src/pool/restart-policy.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { LOAD_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";

const model = scriptedModel({ name: "m" });

function setUp() {
  const clock = new ManualClock();
  const policy = new RestartPolicy(clock);
  const verdict = () => {
    try {
      policy.check(model, LOAD_DEFAULTS);
      return "may load";
    } catch (error) {
      return error instanceof LmError ? error.code : String(error);
    }
  };
  return { clock, policy, verdict };
}

test("one crash is forgiven, a second within a minute is not for 30 s", () => {
  const { clock, policy, verdict } = setUp();
  policy.crashed(model, "c");
  expect(verdict()).toBe("may load");
  clock.advance(59_000);
  policy.crashed(model, "c");
  expect(verdict()).toBe("engine_unstable");
  clock.advance(29_999);
  expect(verdict()).toBe("engine_unstable");
  clock.advance(1);
  expect(verdict()).toBe("may load");
});

test("crashes more than a minute apart do not add up", () => {
  const { clock, policy, verdict } = setUp();
  for (let n = 0; n < 5; n += 1) {
    policy.crashed(model, "c");
    expect(verdict()).toBe("may load");
    clock.advance(60_000);
  }
});

test("after the pause one more crash refuses again at once", () => {
  const { clock, policy, verdict } = setUp();
  policy.crashed(model, "c");
  policy.crashed(model, "c");
  clock.advance(30_000);
  policy.crashed(model, "c");
  expect(verdict()).toBe("engine_unstable");
});

test("a model's record does not touch another's, nor outlive its file", () => {
  const { policy, verdict } = setUp();
  policy.loadFailed(model, LOAD_DEFAULTS, { reason: "wobble" });
  expect(verdict()).toBe("model_load_failed");
  policy.check(scriptedModel({ name: "other" }), LOAD_DEFAULTS);
  policy.check({ ...model, sizeBytes: 2_000 }, LOAD_DEFAULTS);
});

test("who only looks, as at a file of an older listing, changes nothing", () => {
  const { policy, verdict } = setUp();
  policy.loadFailed(model, LOAD_DEFAULTS, { reason: "wobble" });
  const other = { ...model, sizeBytes: 2_000 };
  expect(policy.cooldown(other, LOAD_DEFAULTS)).toBeNull();
  policy.check(other, LOAD_DEFAULTS);
  policy.loaded(other, LOAD_DEFAULTS);
  expect(verdict()).toBe("model_load_failed");
});

test("a load that failed by its own settings keeps no load with others from being tried", () => {
  const { clock, policy, verdict } = setUp();
  const odd = { ...LOAD_DEFAULTS, contextLength: 7 };
  policy.loadFailed(model, odd, { reason: "seven is odd" });
  expect(verdict()).toBe("may load");
  expect(policy.cooldown(model, LOAD_DEFAULTS)).toBeNull();
  expect(policy.cooldown(model, odd)).toEqual({ reason: "seven is odd", retryAfterMs: 5_000 });
  clock.advance(5_000);
  policy.loadFailed(model, odd, { reason: "still" });
  expect(policy.cooldown(model, odd)?.retryAfterMs).toBe(10_000);
  policy.loaded(model, odd);
  expect(policy.cooldown(model, odd)).toBeNull();
});

test("a load that the request asked wrongly for is refused by its field while it is not tried", () => {
  const clock = new ManualClock();
  const policy = new RestartPolicy(clock);
  policy.loadFailed(model, LOAD_DEFAULTS, { reason: "not this one", param: "draftModel" });
  expect(() => policy.check(model, LOAD_DEFAULTS)).toThrow(
    expect.objectContaining({
      code: "invalid_request",
      details: { param: "draftModel", reason: "invalid_value" },
    }),
  );
});
