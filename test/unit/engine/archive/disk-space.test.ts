import { expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DiskSpace } from "../../../../src/engine/archive/disk-space.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { block, BLOCK_BYTES, pathIn } from "../../../support/blocks.ts";
import { tempFolder } from "../../../support/temp-folder.ts";

/** Four blocks, the first used longest ago, and a file that is not whole yet. */
function fill(folder: string): void {
  mkdirSync(join(folder, "model"), { mode: 0o700 });
  for (const seed of [1, 2, 3, 4]) {
    const path = pathIn(folder, block(seed));
    writeFileSync(path, new Uint8Array(BLOCK_BYTES));
    utimesSync(path, seed, seed);
  }
  writeFileSync(join(folder, "model", ".tmp-1-1"), "");
}

const keepCap = async (folder: string, blocks: number): Promise<number> =>
  await new DiskSpace(folder, blocks * BLOCK_BYTES, systemClock).keepCap();
const countIn = (folder: string): number => readdirSync(join(folder, "model")).length;

test("a lower cap holds at once, and the newest stay", async () => {
  using folder = tempFolder();
  fill(folder.path);
  expect(await keepCap(folder.path, 4)).toBe(0);
  expect(countIn(folder.path)).toBe(5);
  expect(await keepCap(folder.path, 2.5)).toBe(0);
  const names = [4, 3].map((seed) => pathIn(folder.path, block(seed)).split("/").at(-1) ?? "");
  expect(readdirSync(join(folder.path, "model")).sort()).toEqual([".tmp-1-1", ...names].sort());
});

test("what a killed engine left behind goes, and what is being written counts", async () => {
  using folder = tempFolder();
  fill(folder.path);
  const { pid: gone } = Bun.spawnSync(["true"]);
  const leave = (pid: number, writtenMs: number): string => {
    const name = `.tmp-${pid}-1`;
    const path = join(folder.path, "model", name);
    writeFileSync(path, new Uint8Array(BLOCK_BYTES));
    utimesSync(path, writtenMs / 1_000, writtenMs / 1_000);
    return name;
  };
  const temporary = () =>
    readdirSync(join(folder.path, "model")).filter((name) => /^\.tmp-\d{2,}/.test(name));
  const nowMs = systemClock.now();
  leave(gone, nowMs - 11_000);
  // Its number may be another's by now.
  const own = leave(process.pid, nowMs - 3_601_000);
  expect(await keepCap(folder.path, 4)).toBe(0);
  expect([temporary(), countIn(folder.path)]).toEqual([[], 5]);
  leave(process.pid, nowMs - 11_000);
  // Perhaps of an engine in another container.
  const unseen = leave(gone, nowMs);
  expect(await keepCap(folder.path, 5)).toBe(0);
  expect(temporary().sort()).toEqual([own, unseen].sort());
  expect(countIn(folder.path)).toBe(5);
});

test("a cap of nothing leaves nothing, not even what is not whole yet", async () => {
  using folder = tempFolder();
  fill(folder.path);
  writeFileSync(join(folder.path, "model", "notes.txt"), "mine");
  expect(await keepCap(folder.path, 0)).toBe(0);
  expect(readdirSync(join(folder.path, "model"))).toEqual(["notes.txt"]);
});

test("nothing is removed behind a link, or where others may write", async () => {
  using folder = tempFolder();
  fill(folder.path);
  const inner = join(folder.path, "model");
  chmodSync(inner, 0o777);
  expect(await keepCap(folder.path, 0)).toBe(0);
  chmodSync(inner, 0o700);
  using elsewhere = tempFolder();
  renameSync(inner, join(elsewhere.path, "model"));
  symlinkSync(join(elsewhere.path, "model"), inner);
  expect(await keepCap(folder.path, 0)).toBe(0);
  expect(countIn(elsewhere.path)).toBe(5);
  symlinkSync(elsewhere.path, join(folder.path, "prefixes"));
  expect(await keepCap(join(folder.path, "prefixes"), 0)).toBe(0);
  expect(countIn(elsewhere.path)).toBe(5);
});

test("a folder that is not there is no trouble", async () => {
  using folder = tempFolder();
  expect(await keepCap(join(folder.path, "none"), 0)).toBe(0);
});
