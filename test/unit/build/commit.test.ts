import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { tempFolder } from "../../support/temp-folder.ts";

const MODULE = resolve(import.meta.dir, "../../../scripts/build/commit.ts");

/** What a build with this search path writes into the executable. */
function commitAt(root: string, path: string): string {
  const script = `import { commitOf } from ${JSON.stringify(MODULE)}; console.log(commitOf(${JSON.stringify(root)}));`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script], { env: { PATH: path } });
  return stdout.toString().trim();
}

test("a build where there is no git, or no clone, is of an unknown commit", () => {
  using folder = tempFolder();
  expect(commitAt(folder.path, folder.path)).toBe("unknown");
  expect(commitAt(folder.path, process.env["PATH"] ?? "")).toBe("unknown");
});
