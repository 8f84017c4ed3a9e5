import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ResponseStore } from "../../../src/store/response-store.ts";
import { ids, save, StoreFixture } from "../../support/store-fixture.ts";

/** What goes when there is too much: ends of chats, so that no chat loses its beginning. */

let stores: StoreFixture;
beforeEach(() => {
  stores = new StoreFixture();
});
afterEach(() => stores[Symbol.dispose]());

/** A chat of so many answers, each the continuation of the one before. */
function saveChat(store: ResponseStore, name: string, turns: number): void {
  for (let turn = 1; turn <= turns; turn++) {
    save(store, `${name}${turn}`, turn === 1 ? null : `${name}${turn - 1}`);
  }
}

describe("the chat that was used longest ago", () => {
  test("loses its end first, and what is left of it can be continued", () => {
    const store = stores.open({ maxCount: 5 });
    saveChat(store, "a", 3);
    saveChat(store, "b", 3);
    expect(ids(store, "a3")).toBeNull();
    expect(ids(store, "a2")).toEqual(["a1", "a2"]);
    expect(ids(store, "b3")).toEqual(["b1", "b2", "b3"]);
  });

  test("goes whole before another is touched", () => {
    const store = stores.open({ maxCount: 6 });
    saveChat(store, "a", 3);
    saveChat(store, "b", 3);
    saveChat(store, "c", 3);
    expect([ids(store, "a1"), ids(store, "b3"), ids(store, "c3")]).toEqual([
      null,
      ["b1", "b2", "b3"],
      ["c1", "c2", "c3"],
    ]);
  });

  test("is not one that was continued without being stored", () => {
    const store = stores.open({ maxCount: 6 });
    saveChat(store, "a", 3);
    saveChat(store, "b", 3);
    ids(store, "a3");
    save(store, "c");
    expect([ids(store, "a3"), ids(store, "b3")]).toEqual([["a1", "a2", "a3"], null]);
  });

  test("keeps what another branch continues", () => {
    const store = stores.open({ maxCount: 5 });
    saveChat(store, "a", 3);
    save(store, "branch", "a1");
    save(store, "b");
    save(store, "c");
    save(store, "d");
    expect([ids(store, "a2"), ids(store, "branch")]).toEqual([null, ["a1", "branch"]]);
  });
});

test("a chat that grows beyond the store is not stored any further, and costs no other", () => {
  const store = stores.open({ maxCount: 4 });
  save(store, "other");
  saveChat(store, "a", 3);
  expect(save(store, "a4", "a3")).toBe(true);
  expect(ids(store, "other")).toBeNull();
  expect(save(store, "a5", "a4")).toBe(false);
  expect(ids(store, "a4")).toEqual(["a1", "a2", "a3", "a4"]);
  expect(save(store, "b", "a1")).toBe(true);
  expect(ids(store, "b")).toEqual(["a1", "b"]);
});

test("an answer to what went while it was made is not stored", () => {
  const store = stores.open({ maxCount: 2 });
  saveChat(store, "a", 2);
  save(store, "b");
  save(store, "c");
  expect(save(store, "a3", "a2")).toBe(false);
  expect([ids(store, "b"), ids(store, "c")]).toEqual([["b"], ["c"]]);
});

test("whatever is saved can be continued at once, and nothing stored is out of reach", () => {
  const seed = Date.now() >>> 0;
  console.log(`seed ${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let store = stores.open({ maxCount: 12, maxBytes: 600 });
  const known: string[] = [];
  for (let step = 0; step < 300; step++) {
    const previous = random(4) === 0 ? null : (known[known.length - 1 - random(8)] ?? null);
    const isThere = previous === null || ids(store, previous) !== null;
    const id = String(step);
    const body = "x".repeat(random(80));
    const isSaved = store.save({ id, owner: "a", previousId: previous, body });
    if (isSaved) known.push(id);
    expect(isSaved && !isThere).toBe(false);
    expect(ids(store, id) !== null).toBe(isSaved);
    if (random(50) > 0) continue;
    stores.close(store);
    store = stores.open({ maxCount: 12, maxBytes: 600 });
  }
  using other = stores.elsewhere();
  const lost = "SELECT id FROM responses WHERE previous NOT IN (SELECT id FROM responses)";
  expect(other.query(lost).all()).toEqual([]);
  const sums = "SELECT count(*) AS count, sum(bytes) AS bytes FROM responses";
  const { count, bytes } = other.query<{ count: number; bytes: number }, []>(sums).get()!;
  expect(count).toBeLessThanOrEqual(12);
  expect(bytes).toBeLessThanOrEqual(600);
  expect(count).toBeGreaterThan(3);
});
