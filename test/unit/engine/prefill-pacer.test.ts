import { expect, test } from "bun:test";
import { PrefillPacer } from "../../../src/engine/prefill-pacer.ts";

test("before anything is measured a step is small, then as large as its time allows", () => {
  const pacer = new PrefillPacer(512);
  expect(pacer.allowance(0)).toBe(64);
  pacer.record(0, 64, 64);
  expect(pacer.allowance(0)).toBe(512);
});

test("beside streams prompts get three quarters of the time that the streams take", () => {
  const pacer = new PrefillPacer(512);
  for (let step = 0; step < 50; step++) pacer.record(4, 0, 10);
  pacer.record(4, 15, 10 + 15 * 0.5);
  expect(pacer.allowance(4)).toBe(15);
});

test("steps that vary are made so small that one in twenty takes twice as long at most", () => {
  const pacer = new PrefillPacer(512);
  for (let step = 0; step < 50; step++) pacer.record(4, 0, 10);
  let random = 3;
  const noise = (): number => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return 0.8 + (random >>> 8) / 2 ** 25;
  };
  const times: number[] = [];
  for (let step = 0; step < 600; step++) {
    const tokens = pacer.allowance(4);
    const elapsedMs = (10 + tokens * 0.5) * noise();
    pacer.record(4, tokens, elapsedMs);
    if (step >= 100) times.push(elapsedMs);
  }
  const late = times.filter((elapsedMs) => elapsedMs > 20);
  expect(late.length / times.length).toBeLessThan(0.05);
  // Prompts still get most of what there is.
  expect(pacer.allowance(4)).toBeGreaterThan(3);
});

test("a prompt never starves, however slow its tokens are", () => {
  const pacer = new PrefillPacer(512);
  pacer.record(1, 0, 1);
  pacer.record(1, 1, 1000);
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
