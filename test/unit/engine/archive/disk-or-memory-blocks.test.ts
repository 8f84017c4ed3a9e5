import { expect, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Block } from "../../../../src/engine/archive/block.ts";
import { MemoryBlocks } from "../../../../src/engine/archive/memory-blocks.ts";
import { DiskBlocks } from "../../../../src/engine/archive/disk-blocks.ts";
import { DiskOrMemoryBlocks } from "../../../../src/engine/archive/disk-or-memory-blocks.ts";
import { chain, pathIn } from "../../../support/blocks.ts";
import { ManualClock } from "../../../support/manual-clock.ts";
import { tempFolder } from "../../../support/temp-folder.ts";

function open(folder: string, maxWaitingBytes = 1_000_000) {
  const clock = new ManualClock();
  const causes: string[] = [];
  const memory = new MemoryBlocks(2_000_000);
  const disk = new DiskBlocks({
    folder,
    fingerprint: "model",
    maxBytes: 1_000_000,
    maxWaitingBytes,
    clock,
    onTrouble: ({ cause }) => causes.push(cause),
    onLost: (block) => void memory.write(block),
  });
  return { store: new DiskOrMemoryBlocks(disk, memory), clock, causes };
}

/** Nothing can be written there any more, whoever tries. */
function spoil(folder: string): void {
  rmSync(join(folder, "model"), { recursive: true });
  writeFileSync(join(folder, "model"), "");
}

test.each([
  { name: "in the background", maxWaitingBytes: 1_000_000 },
  { name: "at once", maxWaitingBytes: 0 },
])("blocks that fail to be written $name are kept in memory", async ({ maxWaitingBytes }) => {
  using folder = tempFolder();
  const { store, causes } = open(folder.path, maxWaitingBytes);
  spoil(folder.path);
  const [first, second, third] = chain(1, 2, 3) as [Block, Block, Block];
  expect([store.write(first), store.write(second)]).toEqual([true, true]);
  await store.settled();
  expect(store.write(third)).toBe(true);
  expect([store.isPaused, store.isFull, causes]).toEqual([false, false, ["EEXIST"]]);
  for (const each of [first, second, third]) {
    expect(store.read(each.facts.key)).toEqual(each);
    expect(store.tokensOf(each.facts.key)).toEqual(each.tokens);
  }
  expect(store.index.size).toBe(3);
  expect(store.index.bytes).toBe(3 * first.facts.bytes);
  expect(store.index.following(first.facts.key, second.facts.head)).toEqual([second.facts]);
  store.remove(second.facts.key);
  expect(store.read(second.facts.key)).toBeNull();
});

test("the disk is used again when it works again, after what is in memory", async () => {
  using folder = tempFolder();
  const { store, clock, causes } = open(folder.path);
  spoil(folder.path);
  const [first, second] = chain(1, 2) as [Block, Block];
  store.write(first);
  await store.settled();
  rmSync(join(folder.path, "model"));
  clock.advance(60_000);
  store.write(second);
  await store.settled();
  expect(existsSync(pathIn(folder.path, second))).toBe(true);
  expect(store.index.get(first.facts.key)).toEqual(first.facts);
  expect([store.index.size, causes]).toEqual([2, ["EEXIST"]]);
});

test("a disk at its cap leaves memory alone, and one that is too small for a block does not", () => {
  using folder = tempFolder();
  const { store, causes } = open(folder.path, 0);
  const [first, second, third] = chain(1, 2, 3).map((each) => ({
    ...each,
    facts: { ...each.facts, bytes: 600_000 },
  })) as [Block, Block, Block];
  expect([store.write(first), store.write(second)]).toEqual([true, false]);
  expect(store.index.size).toBe(1);
  const facts = { ...third.facts, bytes: 1_000_001 };
  expect(store.write({ ...third, facts })).toBe(true);
  expect([store.index.size, causes]).toEqual([2, ["unusable"]]);
});
