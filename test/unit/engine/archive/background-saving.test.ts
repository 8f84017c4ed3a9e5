import { expect, test } from "bun:test";
import type { Archive } from "../../../../src/engine/archive/archive.ts";
import { BackgroundSaving } from "../../../../src/engine/archive/background-saving.ts";
import { stillClock } from "../../../support/engine-harness.ts";

test("idle times are over when what was saved is kept, and what went for it is known", async () => {
  let work = 2;
  let version = 0;
  const archive = {
    isFull: false,
    get hasWork() {
      return work > 0;
    },
    get version() {
      return version;
    },
    saveSome: () => {
      work--;
      version++;
    },
    // Writing the last one made another go.
    settled: async () => void (version = 3),
  } as unknown as Archive;
  const saving = new BackgroundSaving(archive, stillClock);
  const seen: number[] = [];
  for (let going = saving.idle(); going !== null; going = saving.idle()) {
    await going;
    seen.push(version);
  }
  expect(seen).toEqual([1, 2, 3, 3]);
});
