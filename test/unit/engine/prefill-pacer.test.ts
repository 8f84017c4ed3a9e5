import { expect, test } from "bun:test";
import { PrefillPacer } from "../../../src/engine/prefill-pacer.ts";

test("before anything is measured a step is small, then as large as its time allows", () => {
  const pacer = new PrefillPacer(512);
  expect(pacer.allowance(0)).toBe(64);
  pacer.record(0, 64, 64);
  expect(pacer.allowance(0)).toBe(512);
});

/** Steps of `streams` streams that take `decodeMs`, until a long piece is due. */
function untilBurst(pacer: PrefillPacer, streams: number, decodeMs: number): void {
  for (let step = 0; step < 30; step++) pacer.record(streams, 0, decodeMs);
}

test("beside streams one step in twenty-five takes a long piece, the others none", () => {
  const pacer = new PrefillPacer(512);
  untilBurst(pacer, 4, 10);
  pacer.record(0, 128, 128);
  for (let burst = 0; burst < 3; burst++) {
    expect(pacer.allowance(4)).toBe(200);
    pacer.record(4, 200, 210);
    let rests = 0;
    for (; pacer.allowance(4) === 0; rests++) pacer.record(4, 0, 10);
    expect(rests).toBe(24);
  }
});

test("a long piece takes so many steps' time, but not too long", () => {
  const sizes = [1, 10, 30, 100, 1000].map((decodeMs) => {
    const pacer = new PrefillPacer(100_000);
    untilBurst(pacer, 4, decodeMs);
    pacer.record(0, 1024, 1024);
    return pacer.allowance(4);
  });
  expect(sizes).toEqual([100, 200, 600, 700, 4000]);
});

test("short prompts between them do not put long ones off", () => {
  const pacer = new PrefillPacer(512);
  untilBurst(pacer, 4, 10);
  pacer.record(0, 128, 128);
  pacer.record(4, 200, 210);
  for (let step = 0; step < 24; step++) pacer.record(4, step % 3 === 0 ? 50 : 0, 60);
  expect(pacer.allowance(4)).toBeGreaterThan(100);
});

test("a prompt never starves, however slow its tokens are", () => {
  const pacer = new PrefillPacer(512);
  untilBurst(pacer, 1, 1);
  pacer.record(1, 1, 1000);
  untilBurst(pacer, 1, 1);
  expect(pacer.allowance(1)).toBe(4);
});

test("a step stays short enough for cancels to be noticed", () => {
  const pacer = new PrefillPacer(2048);
  pacer.record(0, 100, 1000);
  expect(pacer.allowance(0)).toBe(100);
});

test("the allowance never exceeds the rows that are left", () => {
  const pacer = new PrefillPacer(8);
  expect(pacer.allowance(8)).toBe(0);
  expect(pacer.allowance(6)).toBe(2);
});

test("a short prompt is one that the streams can wait for", () => {
  const pacer = new PrefillPacer(2048);
  expect(pacer.shortPromptTokens).toBe(0);
  pacer.record(0, 100, 100);
  expect(pacer.shortPromptTokens).toBe(400);
});

test("what large steps cost per token is learned from large steps", () => {
  const pacer = new PrefillPacer(2048);
  // 160 ms for anything, and 0.5 ms for each token.
  const measure = (tokens: number): void => pacer.record(0, tokens, 160 + tokens * 0.5);
  measure(50);
  expect(pacer.shortPromptTokens).toBe(108);
  measure(108);
  expect(pacer.shortPromptTokens).toBe(201);
  for (let step = 0; step < 9; step++) measure(pacer.shortPromptTokens);
  expect(pacer.shortPromptTokens).toBeGreaterThan(440);
  measure(50);
  expect(pacer.shortPromptTokens).toBeGreaterThan(440);
});

test("the time of a step is estimated from steps of a similar size", () => {
  const pacer = new PrefillPacer(2048);
  expect(pacer.estimateMs(100)).toBe(0);
  pacer.record(0, 64, 128);
  pacer.record(0, 512, 256);
  expect(pacer.estimateMs(50)).toBe(100);
  expect(pacer.estimateMs(600)).toBe(300);
  expect(pacer.estimateMs(0)).toBe(0);
});
