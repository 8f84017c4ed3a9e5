import { expect, test } from "bun:test";
import { LmError } from "../../../src/lib/errors.ts";
import { Leaving } from "../../../src/pool/leaving.ts";

const unloaded = new LmError("model_unloaded", { model: "m" }, "unloaded");
const shutdown = new LmError("server_shutdown", {}, "shutdown");

/** Which of the promises have resolved. */
async function resolved(promises: Record<string, Promise<void>>): Promise<string[]> {
  const done: string[] = [];
  for (const [name, promise] of Object.entries(promises)) void promise.then(() => done.push(name));
  await Bun.sleep(0);
  return done;
}

test("one that others want to leave stays when all of them do without", async () => {
  const leaving = new Leaving();
  const [one, two] = [{}, {}];
  const freed = leaving.claim(one);
  void leaving.claim(two);
  const { decided, gone } = leaving;
  leaving.unclaim(one);
  expect(leaving.isEnding).toBe(true);
  leaving.unclaim(two);
  expect(leaving.isEnding).toBe(false);
  expect(await resolved({ freed, decided, gone })).toEqual(["decided"]);
});

test("one whose memory is free leaves for nobody, unless it was told to", async () => {
  const leaving = new Leaving();
  const freed = leaving.claim({});
  const { decided, gone } = leaving;
  leaving.giveUpMemory();
  expect(leaving.isEnding).toBe(false);
  expect(await resolved({ freed, decided, gone })).toEqual(["freed", "decided"]);
  const next = leaving.claim({});
  leaving.endFor({ reason: "unloaded", error: unloaded });
  leaving.giveUpMemory();
  expect(leaving.isEnding).toBe(true);
  expect(await resolved({ next, decided: leaving.decided })).toEqual(["next"]);
  leaving.settle();
  expect(await resolved({ decided: leaving.decided, gone })).toEqual(["decided", "gone"]);
});

test("the first reason counts, and the last error ends those who use it", () => {
  const leaving = new Leaving();
  leaving.endFor({ reason: "unloaded", error: unloaded });
  expect(leaving.stopError).toBeNull();
  leaving.stopFor({ reason: "shutdown", error: shutdown });
  expect(leaving.stopError).toBe(shutdown);
  expect(leaving.endFor({ reason: "shutdown", error: shutdown }).reason).toBe("unloaded");
});
