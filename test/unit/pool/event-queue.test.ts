import { expect, test } from "bun:test";
import { EventQueue } from "../../../src/pool/event-queue.ts";
import type { JobEvent, TokenLogprob } from "../../../src/protocol/events.ts";

const text = (value: string, choice = 0): JobEvent => ({
  type: "text",
  jobId: 1,
  choice,
  text: value,
  tokens: 1,
});
const logprob = (id: number): TokenLogprob => ({ id, text: "", bytes: [], logprob: -1, top: [] });

test("a reader that keeps up gets each event as it is", async () => {
  const queue = new EventQueue();
  const next = queue.next();
  queue.push(text("a"));
  expect(await next).toEqual(text("a"));
  queue.push(text("b"));
  expect(await queue.next()).toEqual(text("b"));
});

test("text that waits is joined per choice, in order, with its token counts", async () => {
  const queue = new EventQueue();
  for (const event of [text("a"), text("b"), text("c", 1), text("d", 1), text("e")]) {
    queue.push(event);
  }
  expect(queue.bufferedTokens).toBe(5);
  const events = [await queue.next(), await queue.next(), await queue.next()];
  expect(events).toEqual([
    { ...text("ab"), tokens: 2, sizes: [1, 1] } as JobEvent,
    { ...text("cd", 1), tokens: 2, sizes: [1, 1] } as JobEvent,
    text("e"),
  ]);
  expect(queue.bufferedTokens).toBe(0);
});

test("joined text tells what each of its tokens brought", async () => {
  const queue = new EventQueue();
  const several = { ...text("bcd"), tokens: 3, sizes: [0, 2, 1] } as JobEvent;
  for (const event of [text("a"), several, text("ef")]) queue.push(event);
  expect(await queue.next()).toEqual({
    ...text("abcdef"),
    tokens: 5,
    sizes: [1, 0, 2, 1, 2],
  } as JobEvent);
});

test("log probabilities stay complete and are joined in bounded pieces", async () => {
  const queue = new EventQueue();
  for (let id = 0; id < 600; id += 1) {
    queue.push({
      type: "text",
      jobId: 1,
      choice: 0,
      text: "x",
      tokens: 1,
      logprobs: [logprob(id)],
    });
  }
  const ids: number[] = [];
  while (queue.bufferedTokens > 0) {
    const event = await queue.next();
    if (event.type !== "text") throw new Error("only text was pushed");
    const { logprobs = [], sizes } = event;
    expect(sizes).toEqual(Array.from({ length: event.tokens }, () => 1));
    expect(logprobs.length).toBeLessThanOrEqual(256);
    ids.push(...logprobs.map(({ id }) => id));
  }
  expect(ids).toEqual(Array.from({ length: 600 }, (_, id) => id));
});

test("only the newest progress waits", async () => {
  const queue = new EventQueue();
  queue.push({ type: "progress", jobId: 1, processed: 1, total: 3 });
  queue.push({ type: "progress", jobId: 1, processed: 2, total: 3 });
  expect(await queue.next()).toMatchObject({ processed: 2 });
});

test("a failure comes after what arrived before it, and stays", async () => {
  const queue = new EventQueue();
  queue.push(text("a"));
  queue.fail(new Error("first"));
  queue.fail(new Error("second"));
  queue.push(text("late"));
  expect(await queue.next()).toEqual(text("a"));
  expect(queue.next()).rejects.toThrow("first");
  expect(queue.next()).rejects.toThrow("first");
});

test("an abort drops what waits", async () => {
  const queue = new EventQueue();
  queue.push(text("a"));
  queue.abort(new Error("left"));
  expect(queue.next()).rejects.toThrow("left");
  expect(queue.bufferedTokens).toBe(0);
});
