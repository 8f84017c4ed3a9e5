import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/lib/log.ts";
import { ResponseStore } from "../../src/store/response-store.ts";

/** One chat that goes on while its folder, half filled by something else, fills up and is freed. */
const [folder = ""] = process.argv.slice(2);
const filler = join(folder, "filler");
writeFileSync(filler, new Uint8Array(512 * 1024));

let warnings = 0;
const store = new ResponseStore({
  path: join(folder, "responses.sqlite"),
  limits: { ttlMs: 1_000_000, maxCount: 10_000, maxBytes: 2 ** 30 },
  clock: systemClock,
  log: { ...silentLog, warn: () => void (warnings += 1) },
});
const say = (id: string, previousId: string | null): boolean =>
  store.save({ id, owner: "", previousId, body: "x".repeat(10_000) });

let turns = 0;
while (say(String(turns + 1), turns === 0 ? null : String(turns))) turns += 1;
say("second try", String(turns));
const continued = store.chain(String(turns), "")?.length;
rmSync(filler);
const isSavedAgain = say("later", String(turns));
const continuedLater = store.chain("later", "")?.length;
store.close();
console.log(JSON.stringify({ turns, continued, warnings, isSavedAgain, continuedLater }));
