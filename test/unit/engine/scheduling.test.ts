import { expect, test } from "bun:test";
import { engineHarness, job, type HarnessOptions } from "../../support/engine-harness.ts";
import type { FakeContext, FakeOptions } from "../../support/fake-backend.ts";
import { fakeModel } from "../../support/fake-model.ts";

/** Generates for ever, without an end token. */
const endless = { sampling: { ...job("").sampling, ignoreEos: true } };

function setUp(options: Partial<HarnessOptions> & FakeOptions = {}) {
  const { facts = {}, isFull = () => false, ...rest } = options;
  const model = fakeModel({ facts, isFull });
  const harness = engineHarness({ model, ...rest });
  return { ...harness, context: harness.context as FakeContext };
}

/** What each job alone in a fresh engine says. */
function alone(text: string, fields: Parameters<typeof job>[1]): string {
  const { engine, settle, text: told } = setUp({ contextLength: 4096, batchCapacity: 512 });
  engine.generate(1, job(text, fields));
  settle();
  return told(1);
}

test("a cancel in the queue, in prefill and while decoding ends the job before the next step", () => {
  const { engine, of, context } = setUp({ parallel: 2, batchCapacity: 8 });
  engine.generate(1, job("abc", { maxTokens: 100, ...endless }));
  engine.step();
  engine.generate(2, job("y".repeat(200)));
  engine.generate(3, job("never"));
  engine.step();
  expect(engine.load).toMatchObject({ running: 2, queued: 1 });
  for (const jobId of [1, 2, 3]) engine.cancel(jobId);
  expect(engine.load).toMatchObject({ running: 0, queued: 0 });
  const decodes = context.history.length;
  engine.step();
  expect(context.history).toHaveLength(decodes);
  const ends = [1, 2, 3].map((id) => of(id).at(-1));
  expect(ends).toEqual([
    { type: "cancelled", jobId: 1, stage: "decode", step: 2 },
    { type: "cancelled", jobId: 2, stage: "prefill", step: 2 },
    { type: "cancelled", jobId: 3, stage: "queue", step: 2 },
  ]);
  expect(engine.isIdle).toBe(true);
});

test("a cancel before the job was read, twice, or after its end says nothing more", () => {
  const { engine, of, settle } = setUp();
  engine.generate(1, job("abc"));
  engine.cancel(1);
  engine.cancel(1);
  settle();
  engine.generate(2, job("abc"));
  settle();
  engine.cancel(2);
  engine.cancel(77);
  settle();
  expect(of(1).map((event) => event.type)).toEqual(["cancelled"]);
  expect(of(2).at(-1)?.type).toBe("jobDone");
  expect(of(77)).toEqual([]);
});

test("a cancel touches only its own sequence", () => {
  const fields = { maxTokens: 30, ...endless };
  const expected = alone("stays", fields);
  const { engine, settle, text } = setUp();
  engine.generate(1, job("stays", fields));
  engine.generate(2, job("goes", fields));
  for (let step = 0; step < 10; step++) engine.step();
  engine.cancel(2);
  settle();
  expect(text(1)).toBe(expected);
});

test("choices copy one prefill and differ by their seeds", () => {
  const { engine, settle, text, context, find } = setUp({ parallel: 3, batchCapacity: 256 });
  const sampling = { ...endless.sampling, temperature: 1, seed: 40 };
  engine.generate(1, job("p".repeat(49), { choices: 3, maxTokens: 10, sampling }));
  settle();
  expect(context.history[0]?.tokens).toBe(50);
  expect(context.history[1]?.tokens).toBe(3);
  expect(find(1, "jobDone")?.timings.computedPromptTokens).toBe(50);
  const texts = [0, 1, 2].map((choice) => text(1, choice));
  expect(new Set(texts).size).toBe(3);
  // Choice 1 with seed 40 is choice 0 with seed 41.
  engine.generate(2, job("p".repeat(49), { maxTokens: 10, sampling: { ...sampling, seed: 41 } }));
  settle();
  expect(text(2)).toBe(texts[1] ?? "");
});

test("more choices than slots run one after the other on the shared prompt", () => {
  const { engine, settle, of, context } = setUp({ parallel: 2, batchCapacity: 256 });
  engine.generate(1, job("p".repeat(99), { choices: 5, maxTokens: 4, ...endless }));
  settle();
  expect(of(1).filter((event) => event.type === "choiceDone")).toHaveLength(5);
  const computed = context.history.reduce((sum, { tokens }) => sum + tokens, 0);
  // The prompt once, its last token for each late choice, and three tokens per choice.
  expect(computed).toBeLessThanOrEqual(100 + 3 + 5 * 3);
});

test("a finished prompt is found again; only the last token is computed anew", () => {
  const { engine, settle, find } = setUp({ batchCapacity: 256 });
  engine.generate(1, job("p".repeat(99), { maxTokens: 3, ...endless }));
  settle();
  engine.generate(2, job("p".repeat(99)));
  engine.generate(3, job(`${"p".repeat(50)}q`));
  engine.generate(4, job("p".repeat(99), { cachePrompt: false }));
  settle();
  expect([1, 2, 3, 4].map((id) => find(id, "accepted")?.cachedTokens)).toEqual([0, 99, 51, 0]);
  expect(find(2, "jobDone")?.timings.computedPromptTokens).toBe(1);
});

test("a conversation that comes back computes only what is new", () => {
  const { engine, settle, find, text } = setUp({ contextLength: 2048, batchCapacity: 512 });
  let conversation = "c".repeat(300);
  for (let turn = 1; turn <= 5; turn++) {
    engine.generate(turn, job(conversation, { maxTokens: 20, ...endless }));
    engine.generate(100 + turn, job("other".repeat(turn)));
    settle();
    conversation += text(turn).replaceAll("\ufffd", "") + "next question";
  }
  for (let turn = 2; turn <= 5; turn++) {
    expect(find(turn, "jobDone")?.timings.computedPromptTokens).toBeLessThan(40);
  }
});

test("a follower waits for the leader instead of computing the same prefix", () => {
  const { engine, settle, context, find, text } = setUp({
    parallel: 8,
    contextLength: 4096,
    batchCapacity: 64,
  });
  const prefix = "s".repeat(999);
  for (let id = 1; id <= 8; id++) {
    engine.generate(id, job(`${prefix} tail ${id}`, { maxTokens: 4, ...endless }));
  }
  settle();
  const computed = context.history.reduce((sum, { tokens }) => sum + tokens, 0);
  expect(computed).toBeLessThan(1000 + 8 * 16);
  for (let id = 2; id <= 8; id++) expect(find(id, "accepted")?.cachedTokens).toBe(1006);
  expect(text(5)).toBe(alone(`${prefix} tail 5`, { maxTokens: 4, ...endless }));
});

test("when the leader is cancelled a follower takes over what it computed", () => {
  const { engine, settle, context, find } = setUp({ parallel: 3, contextLength: 2048 });
  const prefix = "s".repeat(999);
  for (let id = 1; id <= 3; id++) engine.generate(id, job(`${prefix}${id}`, { maxTokens: 2 }));
  for (let step = 0; step < 8; step++) engine.step();
  engine.cancel(1);
  settle();
  expect(find(2, "accepted")?.cachedTokens).toBe(8 * 64);
  expect(find(3, "accepted")?.cachedTokens).toBe(1000);
  const computed = context.history.reduce((sum, { tokens }) => sum + tokens, 0);
  expect(computed).toBeLessThan(1010);
});

test("running streams get a token in every step while a long prompt is read", () => {
  const { engine, of, find } = setUp({ contextLength: 4096, batchCapacity: 128 });
  engine.generate(1, job("stream", { maxTokens: 600, ...endless }));
  engine.step();
  engine.generate(2, job("y".repeat(1500), { maxTokens: 2 }));
  for (let step = 0; find(2, "choiceDone") === undefined; step++) {
    expect(step).toBeLessThan(400);
    const before = of(1).length;
    engine.step();
    expect(of(1).length).toBe(before + 1);
  }
  expect(of(2).filter((event) => event.type === "progress").length).toBeGreaterThan(3);
});

test("neither queued prompts nor streams starve", () => {
  const { engine, settle, find } = setUp({ parallel: 2, batchCapacity: 16 });
  const order: number[] = [];
  for (let id = 1; id <= 12; id++) engine.generate(id, job(`job ${id}`, { maxTokens: 20 }));
  const seen = new Set<number>();
  while (!engine.isIdle) {
    engine.step();
    for (let id = 1; id <= 12; id++) {
      if (find(id, "accepted") === undefined || seen.has(id)) continue;
      seen.add(id);
      order.push(id);
    }
  }
  settle();
  expect(order).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

test("when cells run out the newest waits and nobody fails", () => {
  const fields = { maxTokens: 400, ...endless };
  const { engine, settle, text, of, context } = setUp({ parallel: 3, contextLength: 512 });
  for (const id of [1, 2, 3]) engine.generate(id, job(`prompt ${id}`, fields));
  settle();
  for (const id of [1, 2, 3]) {
    expect(of(id).filter((event) => event.type === "accepted")).toHaveLength(1);
    expect(of(id).at(-1)?.type).toBe("jobDone");
    expect(text(id)).toBe(alone(`prompt ${id}`, fields));
  }
  // The newest was taken back and computed again, in larger pieces than one token.
  expect(context.history.some(({ tokens }) => tokens > 30)).toBe(true);
});

test("the server is told of a job that waits again, and when it goes on", () => {
  const fields = { maxTokens: 400, choices: 2, ...endless };
  const { engine, events, of } = setUp({ parallel: 3, contextLength: 512 });
  for (const id of [1, 2, 3]) engine.generate(id, job(`prompt ${id}`, fields));
  const atWork = new Set<number>();
  while (!engine.isIdle) {
    const before = events.length;
    const waiting = new Set(engine.generator?.status.slots.map(({ jobId }) => jobId));
    engine.step();
    for (const { type, jobId } of events.slice(before)) {
      if (type === "accepted" || type === "resumed") atWork.add(jobId);
      if (type === "requeued") atWork.delete(jobId);
      if (type === "text") expect(atWork.has(jobId)).toBe(true);
      if (type === "jobDone") atWork.delete(jobId);
    }
    const slots = new Set(engine.generator?.status.slots.map(({ jobId }) => jobId));
    // Who has had no slot for a whole step is known to wait.
    for (const jobId of atWork) expect(waiting.has(jobId) || slots.has(jobId)).toBe(true);
  }
  const places = (jobId: number) =>
    of(jobId).flatMap(({ type }) =>
      type === "accepted" || type === "requeued" || type === "resumed" ? [type] : [],
    );
  expect(places(1)).toEqual(["accepted"]);
  const all = [2, 3].map(places);
  for (const told of all) {
    expect(told[0]).toBe("accepted");
    for (const [index, type] of told.slice(1).entries())
      expect(type).toBe(index % 2 === 0 ? "requeued" : "resumed");
  }
  expect(all.flat()).toContain("requeued");
});

test("a library that finds no cells against the books costs time, not answers", () => {
  const fields = { maxTokens: 20, ...endless };
  const { engine, settle, text, of } = setUp({
    isFull: (attempt) => [2, 5, 6, 9].includes(attempt),
  });
  for (const id of [1, 2, 3, 4]) engine.generate(id, job(`prompt ${id}`, fields));
  settle();
  for (const id of [1, 2, 3, 4]) {
    expect(of(id).at(-1)?.type).toBe("jobDone");
    expect(text(id)).toBe(alone(`prompt ${id}`, fields));
  }
});

test("a library that finds no cells for one sequence alone fails its job, and then the others run", () => {
  let broken = true;
  const { engine, settle, text, of } = setUp({
    parallel: 2,
    isFull: () => broken,
  });
  const fields = { maxTokens: 20, ...endless };
  for (const id of [1, 2, 3]) engine.generate(id, job(`prompt ${id}`, fields));
  while (of(1).at(-1)?.type !== "jobFailed") engine.step();
  broken = false;
  settle();
  expect(of(1).at(-1)).toMatchObject({ type: "jobFailed", code: "internal" });
  for (const id of [2, 3]) {
    expect(of(id).at(-1)?.type).toBe("jobDone");
    expect(text(id)).toBe(alone(`prompt ${id}`, fields));
  }
});

test("jobs of different scopes share nothing, stored or running", () => {
  const { engine, settle, context, find } = setUp({ parallel: 4, contextLength: 2048 });
  const scoped = (cacheScope: string) => job("s".repeat(300), { maxTokens: 2, cacheScope });
  engine.generate(1, scoped("key-a"));
  engine.generate(2, scoped("key-b"));
  engine.generate(3, scoped("key-a"));
  settle();
  engine.generate(4, scoped("key-c"));
  engine.generate(5, scoped("key-b"));
  settle();
  const cached = [1, 2, 3, 4, 5].map((id) => find(id, "accepted")?.cachedTokens);
  expect(cached).toEqual([0, 0, 300, 0, 300]);
  const computed = context.history.reduce((sum, { tokens }) => sum + tokens, 0);
  expect(computed).toBeGreaterThanOrEqual(3 * 301);
});

test("what is reused and why no more is counted, and told for each slot", () => {
  const { engine, settle, find } = setUp({ contextLength: 2048, batchCapacity: 512 });
  const ask = (id: number, text: string, fields = {}): void => {
    engine.generate(id, job(text, { maxTokens: 2, ...endless, ...fields }));
  };
  ask(1, "a".repeat(300));
  settle();
  ask(2, `${"a".repeat(200)}bb`);
  settle();
  ask(3, "a".repeat(300));
  settle();
  ask(4, "a", { cachePrompt: false });
  settle();
  const { hits, misses, storedSequences, treeNodes } = engine.generator?.cacheLoad ?? {};
  expect(hits).toEqual({ running: 0, stored: 2, archive: 0 });
  expect(misses).toEqual({ off: 1, empty: 1, differs: 1, whole: 0, lost: 0, full: 0, gone: 0 });
  // One label for what all share, one for each way on.
  expect([storedSequences, treeNodes]).toEqual([2, 3]);
  ask(5, `${"a".repeat(100)}cc`);
  engine.step();
  engine.inspect(6);
  engine.step();
  const slots = find(6, "inspected")?.status.slots;
  expect(slots).toMatchObject([
    { jobId: 5, cachedTokens: 101, promptTokens: 103, miss: { reason: "differs", atToken: 101 } },
  ]);
});

test("stored prefixes give way to work, least recently used first", () => {
  const { engine, settle, find } = setUp({ parallel: 1, contextLength: 512, sequences: 16 });
  for (const [index, letter] of ["a", "b", "c", "d", "e"].entries()) {
    engine.generate(index, job(letter.repeat(150), { maxTokens: 2, ...endless }));
    settle();
  }
  engine.generate(10, job("e".repeat(150)));
  engine.generate(11, job("a".repeat(150)));
  settle();
  expect(find(10, "accepted")?.cachedTokens).toBe(150);
  expect(find(11, "accepted")?.cachedTokens).toBe(0);
});

test("a request that begins alone finds no cache full of holes, but what it can use", () => {
  const { engine, settle, find } = setUp({ parallel: 6, contextLength: 2_048, sequences: 16 });
  const fields = { maxTokens: 2, ...endless };
  const cellsAfter = (): number => {
    engine.step();
    return engine.load.kvCellsUsed;
  };
  const letters = ["a", "b", "c", "d", "e", "f"];
  const together = (from: number): void => {
    for (const [index, letter] of letters.entries()) {
      engine.generate(from + index, job(letter.repeat(200), fields));
    }
    settle();
  };
  together(1);
  engine.generate(10, job("x".repeat(20), fields));
  expect(cellsAfter()).toBe(21);
  settle();
  together(11);
  engine.generate(20, job("c".repeat(200), fields));
  expect(cellsAfter()).toBe(203);
  settle();
  expect(find(20, "accepted")?.cachedTokens).toBe(200);
});

test.each([
  { name: "recurrent", facts: { isRecurrent: true } },
  { name: "hybrid", facts: { isHybrid: true } },
  { name: "sliding-window", facts: { slidingWindow: 64 } },
])("a $name model reuses whole states only", ({ facts }) => {
  const { engine, settle, find, text } = setUp({ facts, sequences: 8 });
  const fields = { maxTokens: 5, ...endless };
  engine.generate(1, job("abcdef", fields));
  settle();
  engine.generate(2, job(`abcdef${text(1)} and`, fields));
  engine.generate(3, job("abcxyz", { ...fields, choices: 2 }));
  settle();
  const isPlain = !text(1).includes("\ufffd");
  expect(find(2, "accepted")?.cachedTokens).toBe(isPlain ? 11 : 0);
  expect(find(3, "accepted")?.cachedTokens).toBe(0);
  expect(text(3)).toBe(alone("abcxyz", fields));
  expect(text(3, 1)).toBe(text(3));
});

test("500 cancels at random moments leave no slot, no sequence and no cell behind", () => {
  const { engine, settle, context, terminals, books } = setUp({ parallel: 4, batchCapacity: 16 });
  let random = 12345;
  const next = (limit: number): number => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return (random >>> 8) % limit;
  };
  for (let id = 1; id <= 500; id++) {
    const prompt = "p".repeat(next(60)) + id;
    engine.generate(id, job(prompt, { choices: 1 + next(2), maxTokens: 1 + next(30) }));
    for (let step = next(6); step > 0; step--) engine.step();
    engine.cancel(id - next(4));
  }
  settle();
  for (let id = 1; id <= 500; id++) expect(terminals(id)).toHaveLength(1);
  expect(engine.load).toMatchObject({ running: 0, queued: 0, kvCellsUsed: context.usedCells });
  const held = books();
  expect(held.sequences).toBe(held.stored);
  expect(held.pinnedCells).toBe(0);
  expect(context.liveSamplers).toBe(0);
});
