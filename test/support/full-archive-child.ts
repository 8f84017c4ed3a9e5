import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Block, factsOf, rootKey } from "../../src/engine/archive/block.ts";
import { fileBytes } from "../../src/engine/archive/block-file.ts";
import { DiskBlocks } from "../../src/engine/archive/disk-blocks.ts";
import { ManualClock } from "./manual-clock.ts";

/** Stored prefixes in a folder, half filled by something else, that fills up and is freed. */
const [folder = ""] = process.argv.slice(2);
const filler = join(folder, "filler");
writeFileSync(filler, new Uint8Array(512 * 1024));

const STATE = new Uint8Array(100_000).fill(7);
const block = (seed: number): Block => {
  const tokens = Int32Array.from({ length: 16 }, (_, index) => seed * 100 + index);
  const bytes = fileBytes(tokens.length, STATE.length);
  return { facts: factsOf(rootKey("", ""), tokens, bytes), tokens, state: STATE };
};

const clock = new ManualClock();
const [atOnce = ""] = process.argv.slice(3);
const causes: string[] = [];
const store = new DiskBlocks({
  folder: join(folder, "prefixes"),
  fingerprint: "model",
  maxBytes: 2 ** 30,
  ...(atOnce !== "" && { maxWaitingBytes: 0 }),
  clock,
  onTrouble: ({ cause, reason }) => void causes.push(reason.includes(folder) ? cause : reason),
});
let written = 0;
for (; !store.isPaused; written++) {
  store.write(block(written));
  await store.settled();
}
const names = readdirSync(join(folder, "prefixes", "model"));
const sizes = new Set(names.map((name) => statSync(join(folder, "prefixes", "model", name)).size));
const read = names.map((_, index) => store.read(block(index).facts.key)?.state.length);
rmSync(filler);
clock.advance(60_000);
store.write(block(1_000));
await store.settled();
console.log(
  JSON.stringify({
    kept: names.length - (written - 1),
    sizes: [...sizes],
    whole: read.filter((length) => length === STATE.length).length - names.length,
    causes,
    isSavedAgain: readdirSync(join(folder, "prefixes", "model")).length === names.length + 1,
  }),
);
