import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";

const CHAT = resolve(import.meta.dir, "../support/full-disk-child.ts");
const ARCHIVE = resolve(import.meta.dir, "../support/full-archive-child.ts");
const ALONE = ["unshare", "-rm", "sh", "-c"];

const isPossible = Bun.which("unshare") !== null && Bun.spawnSync([...ALONE, "true"]).success;
if (!isPossible) console.warn("no user namespaces here: a full disk is not tested");

/** What a child tells that runs over a disk of 1 MiB. */
function onSmallDisk(...args: readonly string[]): unknown {
  using folder = tempFolder();
  const script = `mount -t tmpfs -o size=1m none "$0" && exec "$@"`;
  const [child = "", ...rest] = args;
  const command = [folder.path, process.execPath, child, folder.path, ...rest];
  const { stdout, stderr } = Bun.spawnSync([...ALONE, script, ...command]);
  expect(stderr.toString()).toBe("");
  return JSON.parse(stdout.toString());
}

test.skipIf(!isPossible)(
  "a chat goes on over a full disk, and is saved again once there is room",
  () => {
    const { turns, ...told } = onSmallDisk(CHAT) as { turns: number };
    expect(turns).toBeGreaterThan(1);
    const expected: object = {
      continued: turns,
      warnings: 1,
      isSavedAgain: true,
      continuedLater: turns + 1,
    };
    expect(told).toEqual(expected);
  },
);

test.skipIf(!isPossible).each([
  { name: "in the background", args: [] },
  { name: "at once", args: ["at once"] },
])("a prefix that a full disk takes half of, written $name, leaves no file", ({ args }) => {
  expect(onSmallDisk(ARCHIVE, ...args)).toEqual({
    kept: 0,
    sizes: [100_088],
    whole: 0,
    causes: ["ENOSPC"],
    isSavedAgain: true,
  });
});
