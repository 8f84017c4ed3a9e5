import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DiskOrMemoryBlocks } from "../../../../src/engine/archive/disk-or-memory-blocks.ts";
import { MemoryBlocks } from "../../../../src/engine/archive/memory-blocks.ts";
import { openArchives } from "../../../../src/engine/archive/open-archive.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { FAKE_LOAD } from "../../../support/engine-harness.ts";
import { fakeModel } from "../../../support/fake-model.ts";
import { tempFolder } from "../../../support/temp-folder.ts";

function open(home: string) {
  const causes: string[] = [];
  const modelPath = join(home, "model.gguf");
  writeFileSync(modelPath, "weights");
  const prefixCache = { folder: join(home, "prefixes"), diskBytes: 2 ** 30, memoryBytes: 2 ** 20 };
  const memory = { modelBytes: 0, kvBytes: 0, computeBytes: 0 };
  const { archive } = openArchives(
    { ...FAKE_LOAD, modelPath, prefixCache },
    fakeModel(),
    { contextLength: 1_024, memory },
    { buildId: "build", clock: systemClock, onTrouble: ({ cause }) => causes.push(cause) },
  );
  return { store: archive?.store, causes };
}

test("prefixes are kept on disk, and in memory while that fails", () => {
  using home = tempFolder();
  const { store, causes } = open(home.path);
  expect(store).toBeInstanceOf(DiskOrMemoryBlocks);
  expect(causes).toEqual([]);
});

const BAD_FOLDERS: { name: string; cause: string; make: (path: string) => void }[] = [
  { name: "is a file", cause: "EEXIST", make: (path) => writeFileSync(path, "") },
  {
    name: "is a link to a folder",
    cause: "unusable",
    make: (path) => {
      mkdirSync(`${path}-elsewhere`);
      symlinkSync(`${path}-elsewhere`, path);
    },
  },
  {
    name: "may be written by others",
    cause: "unusable",
    make: (path) => {
      mkdirSync(path);
      chmodSync(path, 0o777);
    },
  },
];

test.each(BAD_FOLDERS)("a folder that $name is told, and memory is used", ({ make, cause }) => {
  using home = tempFolder();
  make(join(home.path, "prefixes"));
  const { store, causes } = open(home.path);
  expect(store).toBeInstanceOf(MemoryBlocks);
  expect(causes).toEqual([cause]);
});
