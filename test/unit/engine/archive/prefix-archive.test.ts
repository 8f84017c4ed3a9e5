import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { DiskBlocks } from "../../../../src/engine/archive/disk-blocks.ts";
import { MemoryBlocks } from "../../../../src/engine/archive/memory-blocks.ts";
import type { ArchiveOptions } from "../../../../src/engine/archive/prefix-archive.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import {
  ENDLESS,
  engineHarness,
  job,
  type HarnessOptions,
} from "../../../support/engine-harness.ts";
import type { FakeContext } from "../../../support/fake-backend.ts";
import { fakeModel } from "../../../support/fake-model.ts";
import { tempFolder } from "../../../support/temp-folder.ts";

const endless = { sampling: { ...job("").sampling, ignoreEos: true } };

const inMemory = (maxBytes = 2 ** 30): ArchiveOptions & { store: MemoryBlocks } => ({
  store: new MemoryBlocks(maxBytes),
  fingerprint: "",
  blockTokens: 32,
  leastTokens: 256,
});

function setUp(options: Partial<HarnessOptions> & { facts?: object } = {}) {
  const { facts = {}, ...rest } = options;
  const archive = inMemory();
  const harness = engineHarness({
    model: fakeModel({ facts }),
    archive,
    batchCapacity: 512,
    ...rest,
  });
  const computed = (): number =>
    (harness.context as FakeContext).history.reduce((sum, { tokens }) => sum + tokens, 0);
  /** Work of idle times, to its end. */
  const idle = (): void => {
    while (harness.engine.generator?.tidy() !== null);
  };
  return { ...harness, archive, computed, idle };
}

function alone(text: string, maxTokens: number): string {
  const {
    engine,
    settle,
    text: told,
  } = engineHarness({
    model: fakeModel(),
    contextLength: 8192,
    batchCapacity: 512,
  });
  engine.generate(1, job(text, { maxTokens, ...endless }));
  settle();
  return told(1);
}

const prefixOf = (number: number): string => `${number} `.padEnd(300, `${number}`);

test("forty prefixes that cycle through a cache for ten leave running requests alone", () => {
  const { engine, settle, find, of, text, idle } = setUp({ parallel: 4, contextLength: 3_900 });
  const streams = [1, 2];
  for (const id of streams)
    engine.generate(id, job(`stream ${id}`, { maxTokens: 380, ...endless }));
  const tokensOf = (id: number): number => of(id).filter(({ type }) => type === "text").length;
  for (let cycle = 0; cycle < 2; cycle++) {
    for (let number = 0; number < 40; number++) {
      const id = 100 + 100 * cycle + number;
      engine.generate(id, job(prefixOf(number), { maxTokens: 2, ...endless }));
      while (find(id, "jobDone") === undefined) {
        const before = streams.map(tokensOf);
        engine.step();
        // Each step gives each stream its token, whatever has to go.
        expect(streams.map(tokensOf)).toEqual(before.map((count) => count + 1));
      }
      idle();
      const expected = cycle === 0 ? 0 : 290;
      expect(find(id, "accepted")?.cachedTokens ?? -1).toBeGreaterThanOrEqual(expected);
    }
  }
  settle();
  for (const id of streams) {
    expect(of(id).filter(({ type }) => type === "accepted")).toHaveLength(1);
    expect(text(id)).toBe(alone(`stream ${id}`, 380));
  }
});

/** Ten chats of five turns each, one after the other. @returns prompt tokens computed, to new ones. */
function chatsInTurns(archive: ArchiveOptions, rests: boolean): number {
  const { engine, settle, find, text, idle } = setUp({
    parallel: 2,
    contextLength: 4_096,
    archive,
  });
  const chats = Array.from({ length: 10 }, (_, chat) => ({
    prompt: `${chat}`.repeat(800),
    known: 0,
  }));
  let fresh = 0;
  let computed = 0;
  let id = 0;
  for (let turn = 0; turn < 5; turn++) {
    for (const chat of chats) {
      id++;
      engine.generate(id, job(chat.prompt, { maxTokens: 10, ...endless }));
      settle();
      if (rests) idle();
      const { promptTokens = 0, cachedTokens = 0 } = find(id, "accepted") ?? {};
      fresh += promptTokens - chat.known;
      computed += promptTokens - cachedTokens;
      const answer = text(id);
      chat.known = promptTokens + (answer.includes("\ufffd") ? 0 : 10);
      chat.prompt += `${answer.replaceAll("\ufffd", "")}${"next ".repeat(10)}`;
    }
  }
  return computed / fresh;
}

test("ten conversations in turns compute little more than what is new, though four fit", () => {
  expect(chatsInTurns(inMemory(), true)).toBeLessThanOrEqual(1.1);
});

test("the same when nobody rests between them and little may wait for the disk", async () => {
  using folder = tempFolder();
  const store = new DiskBlocks({
    folder: folder.path,
    fingerprint: "model",
    maxBytes: 2 ** 30,
    maxWaitingBytes: 1_000,
    clock: systemClock,
    onTrouble: ({ reason }) => expect(reason).toBe("none"),
  });
  expect(chatsInTurns({ ...inMemory(), store }, false)).toBeLessThanOrEqual(1.1);
  await store.settled();
});

/** As they are beside long ones: one block each, in memory. */
const shortInMemory = (maxBytes = 2 ** 30): ArchiveOptions => ({
  store: new MemoryBlocks(maxBytes),
  fingerprint: "",
  blockTokens: 256,
  leastTokens: 32,
});

test("short prefixes leave their cells to a request that begins alone, and come back", () => {
  const { engine, settle, find, text, idle, archive } = setUp({
    parallel: 4,
    contextLength: 4_096,
    shortArchive: shortInMemory(),
  });
  const ask = (id: number, number: number): void => {
    engine.generate(id, job(`${number}`.repeat(100), { maxTokens: 2, ...endless }));
    settle();
    idle();
  };
  for (const number of [1, 2, 3, 4]) ask(number, number);
  // 100 bytes, the end of the last answer, and nothing of the three before.
  expect(engine.generator?.status.kvCellsUsed).toBeLessThan(110);
  ask(5, 1);
  expect(find(5, "accepted")?.cachedTokens).toBeGreaterThanOrEqual(99);
  expect(engine.generator?.cacheLoad.hits.archive).toBe(1);
  expect(text(5)).toBe(text(1));
  expect(archive.store.index.size).toBe(0);
  // Not for another API key.
  const foreign = { maxTokens: 2, cacheScope: "another", ...endless };
  engine.generate(7, job("1".repeat(100), foreign));
  settle();
  expect(find(7, "accepted")?.cachedTokens).toBe(0);
  // What goes on from it shares a beginning of the block.
  engine.generate(6, job(`${"2".repeat(60)}${"7".repeat(60)}`, { maxTokens: 2, ...endless }));
  settle();
  expect(find(6, "accepted")?.cachedTokens).toBeGreaterThanOrEqual(60);
  expect(text(6)).toBe(alone(`${"2".repeat(60)}${"7".repeat(60)}`, 2));
});

test("short prefixes that memory has no room for stay in their cells, a few of them", () => {
  const { engine, settle, find, idle } = setUp({
    parallel: 4,
    contextLength: 4_096,
    shortArchive: shortInMemory(10),
  });
  for (const number of [1, 2, 3]) {
    engine.generate(number, job(`${number}`.repeat(100), { maxTokens: 2, ...endless }));
    settle();
    idle();
  }
  engine.generate(4, job("1".repeat(100), { maxTokens: 2, ...endless }));
  settle();
  expect(find(4, "accepted")?.cachedTokens).toBeGreaterThanOrEqual(99);
  expect(engine.generator?.cacheLoad.hits.archive).toBe(0);
});

test("what the archive has no room for keeps its cells when another request begins", () => {
  const { engine, settle, find, idle } = setUp({ contextLength: 4_096, archive: inMemory(10) });
  engine.generate(1, job(prefixOf(1), { maxTokens: 2, ...endless }));
  settle();
  idle();
  engine.generate(2, job(prefixOf(2), { maxTokens: 2, ...endless }));
  settle();
  engine.generate(3, job(prefixOf(1), { maxTokens: 2, ...endless }));
  settle();
  expect(find(3, "accepted")?.cachedTokens).toBeGreaterThanOrEqual(300);
});

test("sequences that begin alike are kept once", () => {
  const { engine, settle, idle, archive } = setUp({ contextLength: 4_096 });
  const sizes: number[] = [];
  for (const tail of ["a", "b", "c"]) {
    engine.generate(sizes.length, job("s".repeat(640) + tail.repeat(60), { maxTokens: 1 }));
    settle();
    idle();
    sizes.push(archive.store.index.size);
  }
  // 641 tokens are 20 blocks and a token; each tail is a block of its own and a part.
  expect(sizes[0]).toBe(22);
  expect(sizes.map((size) => size - (sizes[0] ?? 0))).toEqual([0, 2, 4]);
});

test("the end of a conversation that goes on is kept no longer", () => {
  const { engine, settle, idle, archive, text } = setUp({ contextLength: 4_096 });
  let prompt = "c".repeat(299);
  for (let turn = 0; turn < 6; turn++) {
    engine.generate(turn, job(prompt, { maxTokens: 4, ...endless }));
    settle();
    idle();
    const counts = [...archive.store.index.all()].map(({ count }) => count);
    expect(counts.filter((count) => count < 32).length).toBeLessThanOrEqual(1);
    prompt += `${text(turn).replaceAll("\ufffd", "")}more`;
  }
});

test("what is archived gives its cells up to those that run", () => {
  const { engine, settle, idle } = setUp({ parallel: 2, contextLength: 8_192, sequences: 30 });
  for (let number = 0; number < 8; number++) {
    engine.generate(number, job(prefixOf(number), { maxTokens: 1 }));
    settle();
  }
  expect(engine.generator?.cacheLoad.storedSequences).toBe(8);
  idle();
  engine.generate(20, job("x", { maxTokens: 1 }));
  settle();
  expect(engine.generator?.cacheLoad.storedSequences).toBeLessThanOrEqual(3);
  expect(engine.generator?.cacheLoad.archivedBlocks).toBeGreaterThan(70);
});

test("requests that come together for an archived prefix read it back once", () => {
  const { engine, settle, idle, find, computed, evictAll } = setUp({
    parallel: 4,
    contextLength: 4_096,
  });
  engine.generate(1, job("s".repeat(1_000), { maxTokens: 1 }));
  settle();
  idle();
  evictAll();
  const before = computed();
  for (const id of [2, 3, 4])
    engine.generate(id, job(`${"s".repeat(990)} ${id}`, { maxTokens: 1 }));
  settle();
  expect(computed() - before).toBeLessThan(40);
  const { hits } = engine.generator?.cacheLoad ?? {};
  expect(hits).toEqual({ archive: 1, running: 0, stored: 2 });
  expect(find(4, "accepted")?.cachedTokens).toBeGreaterThan(985);
});

test("a state that the library refuses is a miss, goes, and is saved anew", () => {
  const { engine, settle, find, text, idle, archive, evictAll, books } = setUp({
    contextLength: 4_096,
  });
  const ask = (id: number): void => {
    engine.generate(id, job("s".repeat(999), { maxTokens: 4, ...endless }));
    settle();
    idle();
    evictAll();
  };
  ask(1);
  const facts = [...archive.store.index.all()].find(({ count }) => count === 32);
  const block = archive.store.read(facts?.key ?? "");
  if (block === null) throw new Error("nothing is archived");
  archive.store.write({ ...block, state: new TextEncoder().encode("made up") });
  ask(2);
  expect(text(2)).toBe(text(1));
  expect(engine.generator?.cacheLoad.misses.lost).toBe(1);
  ask(3);
  // Eight tokens are left behind 31 blocks.
  expect(find(3, "accepted")?.cachedTokens).toBe(992);
  expect(books().pinnedCells).toBe(0);
});

test("what has no room to be read back is computed, and told as the reason", () => {
  const archive = { ...inMemory(), blockTokens: 256 };
  const cached = [480, 260].map((streamed) => {
    const { engine, settle, find, text, idle, evictAll } = setUp({
      archive,
      parallel: 2,
      contextLength: 1_024,
    });
    engine.generate(1, job("s".repeat(700), { maxTokens: 1 }));
    settle();
    idle();
    evictAll();
    engine.generate(2, job("t".repeat(streamed), { cachePrompt: false, ...ENDLESS }));
    engine.step();
    // All of one block and a part of the next are of use; there is room for both, or for what is used.
    engine.generate(3, job("s".repeat(300), { maxTokens: 4, ...endless }));
    while (find(3, "jobDone") === undefined) engine.step();
    expect(text(3)).toBe(alone("s".repeat(300), 4));
    expect(find(2, "requeued")).toBeUndefined();
    const { misses } = engine.generator?.cacheLoad ?? {};
    return [find(3, "accepted")?.cachedTokens, misses?.full, misses?.lost];
  });
  expect(cached).toEqual([
    [256, 1, 0],
    [300, 0, 0],
  ]);
});

test("a block that is damaged on disk costs computing the rest, and is told as the reason", async () => {
  using folder = tempFolder();
  const store = new DiskBlocks({
    folder: folder.path,
    fingerprint: "model",
    maxBytes: 2 ** 30,
    clock: systemClock,
    onTrouble: ({ reason }) => {
      throw new Error(reason);
    },
  });
  const archive = { store, fingerprint: "model", blockTokens: 32, leastTokens: 256 };
  const { engine, settle, find, text, evictAll } = setUp({ archive, contextLength: 4_096 });
  engine.generate(1, job("s".repeat(999), { maxTokens: 4, ...endless }));
  settle();
  await engine.finish();
  evictAll();
  const fifth = [...store.index.all()][5];
  const file = `${folder.path}/model/${fifth?.key}-${fifth?.parent}-${fifth?.head}-${fifth?.count}.kv`;
  await Bun.write(file, "not a block");
  engine.generate(2, job("s".repeat(999), { maxTokens: 4, ...endless }));
  settle();
  expect(find(2, "accepted")?.cachedTokens).toBe(5 * 32);
  expect(text(2)).toBe(text(1));
  expect(engine.generator?.cacheLoad.misses.lost).toBe(1);
  // Another engine needed the space.
  await engine.finish();
  evictAll();
  rmSync(file);
  engine.generate(3, job("s".repeat(999), { maxTokens: 4, ...endless }));
  settle();
  expect(find(3, "accepted")?.cachedTokens).toBe(5 * 32);
  expect(engine.generator?.cacheLoad.misses).toMatchObject({ lost: 1, gone: 1 });
});
