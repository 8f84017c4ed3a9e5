import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";

const CHILD = resolve(import.meta.dir, "../support/full-disk-child.ts");
const ALONE = ["unshare", "-rm", "sh", "-c"];

const isPossible = Bun.which("unshare") !== null && Bun.spawnSync([...ALONE, "true"]).success;
if (!isPossible) console.warn("no user namespaces here: a full disk is not tested");

test.skipIf(!isPossible)(
  "a chat goes on over a full disk, and is saved again once there is room",
  () => {
    using folder = tempFolder();
    const script = `mount -t tmpfs -o size=1m none "$0" && exec "$1" "$2" "$0"`;
    const child = Bun.spawnSync([...ALONE, script, folder.path, process.execPath, CHILD]);
    expect(child.stderr.toString()).toBe("");
    const { turns, ...told } = JSON.parse(child.stdout.toString()) as {
      turns: number;
    };
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
