import { expect, test } from "bun:test";
import { mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FolderWatch } from "../../../src/catalog/folder-watch.ts";
import { tempFolder } from "../../support/temp-folder.ts";

function watchOf(root: string, leaves: readonly string[]): FolderWatch {
  const listed = [root, ...leaves].map((path) => {
    utimesSync(path, new Date(1_000), new Date(1_000));
    const { mtimeMs, ino } = statSync(path);
    return { path, modifiedMs: mtimeMs, inode: ino, isInner: path === root };
  });
  return new FolderWatch(listed);
}

function folders(root: string, count: number): string[] {
  const paths = Array.from({ length: count }, (_, index) => join(root, `f${index}`));
  for (const path of paths) mkdirSync(path);
  return paths;
}

test("a file that comes, a folder that comes and one that goes are changes", () => {
  for (const change of [
    (root: string) => writeFileSync(join(root, "f1", "new"), ""),
    (root: string) => mkdirSync(join(root, "new")),
    (root: string) => rmSync(join(root, "f2"), { recursive: true }),
    (root: string) => rmSync(root, { recursive: true }),
  ]) {
    using folder = tempFolder();
    const root = join(folder.path, "models");
    mkdirSync(root);
    const watch = watchOf(root, folders(root, 3));
    expect([watch.isUnchanged(), watch.isUnchanged()]).toEqual([true, true]);
    change(root);
    expect(watch.isUnchanged()).toBe(false);
  }
});

test("of very many folders each has its turn, and a new one shows at once", () => {
  using folder = tempFolder();
  const leaves = folders(folder.path, 600);
  const watch = watchOf(folder.path, leaves);
  expect(watch.isUnchanged()).toBe(true);
  writeFileSync(join(leaves.at(-1) ?? "", "new"), "");
  const looks = [watch.isUnchanged(), watch.isUnchanged(), watch.isUnchanged()];
  expect(looks).toContain(false);
  mkdirSync(join(folder.path, "new"));
  expect([watch.isUnchanged(), watch.isUnchanged()]).toEqual([false, false]);
});
