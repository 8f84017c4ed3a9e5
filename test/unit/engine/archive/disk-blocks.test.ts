import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Block } from "../../../../src/engine/archive/block.ts";
import { DiskBlocks, type DiskBlocksOptions } from "../../../../src/engine/archive/disk-blocks.ts";
import { MemoryBlocks } from "../../../../src/engine/archive/memory-blocks.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { block, BLOCK_BYTES, chain, pathIn } from "../../../support/blocks.ts";
import { tempFolder } from "../../../support/temp-folder.ts";

function open(folder: string, over: Partial<DiskBlocksOptions> = {}) {
  const troubles: string[] = [];
  const store = new DiskBlocks({
    folder,
    fingerprint: "model",
    maxBytes: 1_000_000,
    clock: systemClock,
    onTrouble: ({ cause }) => troubles.push(cause),
    ...over,
  });
  return { store, troubles };
}

/** A file where the folder should be refuses even a user who may do everything. */
function spoil(folder: string): void {
  rmSync(join(folder, "model"), { recursive: true });
  writeFileSync(join(folder, "model"), "");
}

test("a block is read while it is on its way, and by the next process", async () => {
  using folder = tempFolder();
  const [first, second] = chain(1, 2) as [Block, Block];
  const { store } = open(folder.path);
  store.write(first);
  store.write(second);
  expect(store.read(second.facts.key)?.state).toEqual(second.state);
  await store.settled();
  const { store: next } = open(folder.path);
  expect([next.index.size, next.index.bytes]).toEqual([2, 2 * BLOCK_BYTES]);
  expect(next.tokensOf(first.facts.key)).toEqual(first.tokens);
  expect(next.read(second.facts.key)).toEqual(second);
  expect(next.index.following(first.facts.key, second.facts.head)).toEqual([second.facts]);
  // Only whole files are ever seen under their name.
  expect(readdirSync(join(folder.path, "model")).filter((name) => name.startsWith("."))).toEqual(
    [],
  );
});

test("files and folders are the user's alone", async () => {
  using folder = tempFolder();
  const { store } = open(join(folder.path, "new"));
  store.write(block(1));
  await store.settled();
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  expect(mode(pathIn(join(folder.path, "new"), block(1)))).toBe("600");
  expect(mode(join(folder.path, "new", "model"))).toBe("700");
});

const DAMAGES: { name: string; damage: (bytes: Buffer) => Uint8Array }[] = [
  { name: "is empty", damage: () => new Uint8Array(0) },
  { name: "lost its end", damage: (bytes) => bytes.subarray(0, -1) },
  { name: "has one wrong bit in its state", damage: (bytes) => flip(bytes, bytes.length - 5) },
  { name: "has one wrong bit in its tokens", damage: (bytes) => flip(bytes, 30) },
  { name: "has another magic", damage: (bytes) => flip(bytes, 0) },
  { name: "has another length", damage: (bytes) => flip(bytes, 8) },
  { name: "grew", damage: (bytes) => Buffer.concat([bytes, Buffer.from("x")]) },
];

test.each(DAMAGES)("a file that $name is a miss and goes away", async ({ damage }) => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  store.write(block(1));
  await store.settled();
  const path = pathIn(folder.path, block(1));
  writeFileSync(path, damage(readFileSync(path)));
  const { store: next } = open(folder.path);
  expect(next.read(block(1).facts.key)).toBeNull();
  expect(next.index.size).toBe(0);
  expect(readdirSync(join(folder.path, "model"))).toEqual([]);
});

const STRANGERS: { name: string; replace: (path: string, copy: string) => void }[] = [
  { name: "a link to a block", replace: (path, copy) => symlinkSync(copy, path) },
  { name: "a pipe", replace: (path) => Bun.spawnSync(["mkfifo", path]) },
  { name: "a folder", replace: (path) => mkdirSync(path) },
  {
    name: "a file that others may write to",
    replace: (path, copy) => {
      copyFileSync(copy, path);
      chmodSync(path, 0o666);
    },
  },
];

test.each(STRANGERS)("$name is no block, whenever it came", async ({ replace }) => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  for (const each of chain(1, 2)) store.write(each);
  await store.settled();
  const { store: next } = open(folder.path);
  for (const each of chain(1, 2)) {
    const path = pathIn(folder.path, each);
    renameSync(path, `${path}.copy`);
    replace(path, `${path}.copy`);
  }
  const [first, second] = chain(1, 2) as [Block, Block];
  expect([next.read(first.facts.key), next.tokensOf(second.facts.key)]).toEqual([null, null]);
  expect(open(folder.path).store.index.size).toBe(0);
});

test("a block that the system does not give right now stays", async () => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  const [first, second, third] = chain(1, 2, 3) as [Block, Block, Block];
  for (const each of [first, second, third]) store.write(each);
  await store.settled();
  const { store: next } = open(folder.path);
  const [there, aside] = [join(folder.path, "model"), join(folder.path, "aside")];
  renameSync(there, aside);
  writeFileSync(there, "");
  expect([next.read(first.facts.key), next.tokensOf(second.facts.key)]).toEqual([null, null]);
  next.touch([third.facts.key]);
  rmSync(there);
  renameSync(aside, there);
  expect(next.index.size).toBe(3);
  expect(next.read(first.facts.key)).toEqual(first);
  expect(next.tokensOf(second.facts.key)).toEqual(second.tokens);
  expect(open(folder.path).store.index.size).toBe(3);
});

test("a block whose file another engine removed is forgotten", async () => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  const blocks = chain(1, 2, 3) as [Block, Block, Block];
  for (const each of blocks) store.write(each);
  await store.settled();
  const { store: next } = open(folder.path);
  for (const each of blocks) rmSync(pathIn(folder.path, each));
  next.touch([blocks[0].facts.key]);
  expect([next.read(blocks[1].facts.key), next.tokensOf(blocks[2].facts.key)]).toEqual([
    null,
    null,
  ]);
  expect(next.index.size).toBe(0);
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("not root: a file of another user is not tested");

test.skipIf(!isRoot)("a file of another user is no block", async () => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  store.write(block(1));
  await store.settled();
  const { store: next } = open(folder.path);
  chownSync(pathIn(folder.path, block(1)), 12_345, 12_345);
  expect(open(folder.path).store.index.size).toBe(0);
  expect(next.read(block(1).facts.key)).toBeNull();
});

test("a file larger than any block is none", async () => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  store.write(block(1));
  await store.settled();
  expect(open(folder.path, { maxBlockBytes: BLOCK_BYTES }).store.index.size).toBe(1);
  expect(open(folder.path, { maxBlockBytes: BLOCK_BYTES - 1 }).store.index.size).toBe(0);
});

test("a file under another block's name is a miss", async () => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  store.write(block(1));
  await store.settled();
  writeFileSync(pathIn(folder.path, block(2)), readFileSync(pathIn(folder.path, block(1))));
  const { store: next } = open(folder.path);
  expect(next.read(block(2).facts.key)).toBeNull();
  expect(next.read(block(1).facts.key)).toEqual(block(1));
});

test("another model, build or setting sees nothing; strange names are left alone", async () => {
  using folder = tempFolder();
  const { store } = open(folder.path);
  store.write(block(1));
  await store.settled();
  writeFileSync(join(folder.path, "model", "notes.txt"), "mine");
  expect(open(folder.path, { fingerprint: "other" }).store.index.size).toBe(0);
  expect(open(folder.path).store.index.size).toBe(1);
  expect(readFileSync(join(folder.path, "model", "notes.txt"), "utf8")).toBe("mine");
});

test("the cap holds over all models; what was used longest ago goes first, sequences from their ends", async () => {
  using folder = tempFolder();
  const maxBytes = 4 * BLOCK_BYTES;
  const { store } = open(folder.path, { maxBytes });
  const { store: other } = open(folder.path, { maxBytes, fingerprint: "another" });
  const old = chain(1, 2);
  for (const each of old) store.write(each);
  await store.settled();
  for (const [index, each] of old.entries()) {
    // The beginning was written first, but the end must not outlive it.
    const time = new Date(1_000_000 + index);
    utimesSync(pathIn(folder.path, each), time, time);
  }
  other.write(block(3));
  await other.settled();
  store.write(block(4));
  await store.settled();
  store.write(block(5));
  await store.settled();
  const left = open(folder.path, { maxBytes }).store.index;
  const has = (each: Block | undefined): boolean => left.get(each?.facts.key ?? "") !== null;
  expect([has(old[0]), has(old[1]), has(block(4)), has(block(5))]).toEqual([
    true,
    false,
    true,
    true,
  ]);
  expect(open(folder.path, { maxBytes, fingerprint: "another" }).store.index.size).toBe(1);
  // The process that removed them knows.
  expect(store.index.get(old[1]?.facts.key ?? "")).toBeNull();
  const sizes = ["model", "another"].flatMap((name) =>
    readdirSync(join(folder.path, name)).map(
      (file) => statSync(join(folder.path, name, file)).size,
    ),
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(maxBytes);
});

test("the cap holds while several engines write beside each other", async () => {
  using folder = tempFolder();
  const maxBytes = 80 * BLOCK_BYTES;
  const names = ["model", "a", "b", "c"];
  const stores = names.map((fingerprint) => open(folder.path, { maxBytes, fingerprint }).store);
  const countOf = (name: string): number => readdirSync(join(folder.path, name)).length;
  let most = 0;
  for (let seed = 0; seed < 40; seed++) {
    for (const store of stores) {
      store.write(block(seed));
      await store.settled();
      most = Math.max(
        most,
        names.reduce((sum, name) => sum + countOf(name), 0),
      );
    }
  }
  expect(most).toBe(80);
  // What others removed is known after the next look.
  for (const [index, store] of stores.entries()) {
    await store.settled();
    expect(store.index.size - countOf(names[index] ?? "")).toBeWithin(0, 9);
  }
});

test("what is used stays", async () => {
  using folder = tempFolder();
  const maxBytes = 3 * BLOCK_BYTES;
  const { store } = open(folder.path, { maxBytes });
  for (const seed of [1, 2]) {
    store.write(block(seed));
    await store.settled();
    const time = new Date(1_000_000 + seed);
    utimesSync(pathIn(folder.path, block(seed)), time, time);
  }
  store.touch([block(1).facts.key]);
  for (const seed of [3, 4]) {
    store.write(block(seed));
    await store.settled();
  }
  expect(store.index.get(block(1).facts.key)).not.toBeNull();
  expect(store.index.get(block(2).facts.key)).toBeNull();
});

test("a folder that cannot be written is told once, and nothing else breaks", async () => {
  using folder = tempFolder();
  const { store, troubles } = open(folder.path);
  spoil(folder.path);
  store.write(block(1));
  store.write(block(2));
  await store.settled();
  expect(troubles).toHaveLength(1);
  expect([store.index.size, store.isPaused, store.isFull]).toEqual([0, true, false]);
});

test("a block that is larger than the cap is told, and removes no other", async () => {
  using folder = tempFolder();
  const before = open(folder.path);
  before.store.write(block(1));
  await before.store.settled();
  const { store, troubles } = open(folder.path, { maxBytes: BLOCK_BYTES + 1 });
  const [large] = chain(2) as [Block];
  const facts = { ...large.facts, bytes: BLOCK_BYTES + 2 };
  expect(store.write({ ...large, facts })).toBe(false);
  await store.settled();
  expect([store.index.size, store.isPaused, troubles]).toEqual([1, true, ["unusable"]]);
  expect(existsSync(pathIn(folder.path, block(1)))).toBe(true);
});

test("when much is on its way a block is written at once, unless the cap forbids it", async () => {
  using folder = tempFolder();
  const limits = { maxWaitingBytes: BLOCK_BYTES, maxBytes: 3 * BLOCK_BYTES };
  const { store, troubles } = open(folder.path, limits);
  const [first, second, third, fourth] = chain(1, 2, 3, 4) as [Block, Block, Block, Block];
  store.write(first);
  expect(store.isFull).toBe(true);
  const isKept = [second, third, fourth].map((each) => store.write(each));
  expect(isKept).toEqual([true, true, false]);
  const isThere = [first, second, third, fourth].map((each) =>
    existsSync(pathIn(folder.path, each)),
  );
  expect(isThere).toEqual([false, true, true, false]);
  expect(store.read(third.facts.key)?.state).toEqual(third.state);
  expect(store.index.get(fourth.facts.key)).toBeNull();
  expect(statSync(pathIn(folder.path, second)).mode & 0o777).toBe(0o600);
  await store.settled();
  const { store: next } = open(folder.path);
  expect([next.index.size, troubles]).toEqual([3, []]);
});

test("a block that cannot be written at once is told, and leaves nothing", () => {
  using folder = tempFolder();
  const { store, troubles } = open(folder.path, { maxWaitingBytes: 0 });
  spoil(folder.path);
  store.write(block(1));
  store.write(block(2));
  expect([troubles.length, store.index.size, store.isPaused]).toEqual([1, 0, true]);
});

test("what killed engines left half written is cleared away when it is old", async () => {
  using folder = tempFolder();
  mkdirSync(join(folder.path, "model"));
  for (const name of [".tmp-1-1", ".tmp-2-2"]) writeFileSync(join(folder.path, "model", name), "x");
  const old = new Date(1_000_000);
  utimesSync(join(folder.path, "model", ".tmp-1-1"), old, old);
  chmodSync(join(folder.path, "model"), 0o700);
  const { store } = open(folder.path);
  store.write(block(1));
  await store.settled();
  const names = readdirSync(join(folder.path, "model")).filter((name) => name.startsWith("."));
  expect(names).toEqual([".tmp-2-2"]);
});

test("memory holds so many bytes; sequences go from their ends, the least recently used first", () => {
  const store = new MemoryBlocks(4 * BLOCK_BYTES);
  const [a1, a2] = chain(1, 2) as [Block, Block];
  const [b1, b2] = chain(3, 4) as [Block, Block];
  for (const each of [a1, a2, b1, b2]) store.write(each);
  store.touch([a2.facts.key, a1.facts.key]);
  store.write(block(5));
  const has = [a1, a2, b1, b2, block(5)].map(({ facts }) => store.read(facts.key) !== null);
  expect(has).toEqual([true, true, true, false, true]);
  expect(store.index.bytes).toBe(4 * BLOCK_BYTES);
});

function flip(bytes: Buffer, at: number): Uint8Array {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}
