import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ids, save, StoreFixture } from "../../support/store-fixture.ts";

/** When answers are forgotten: counted from the last of a chat, not from its first. */

let stores: StoreFixture;
beforeEach(() => {
  stores = new StoreFixture();
});
afterEach(() => stores[Symbol.dispose]());

/** Ids of all rows in the file. */
function stored(): string[] {
  using database = stores.elsewhere();
  const rows = database.query<{ id: string }, []>("SELECT id FROM responses ORDER BY id");
  return rows.all().map(({ id }) => id);
}

describe("a chat whose first turn is older than the limit", () => {
  test("goes on as long as its last is not", () => {
    const store = stores.open({ ttlMs: 1_000 });
    save(store, "1");
    for (const turn of [2, 3, 4, 5]) {
      stores.clock.advance(600);
      expect(save(store, String(turn), String(turn - 1))).toBe(true);
    }
    expect(ids(store, "5")).toEqual(["1", "2", "3", "4", "5"]);
    expect([ids(store, "3"), ids(store, "4")]).toEqual([null, ["1", "2", "3", "4"]]);
    expect(stored()).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("goes as a whole with its last one", () => {
    const store = stores.open({ ttlMs: 1_000 });
    save(store, "1");
    stores.clock.advance(600);
    save(store, "2", "1");
    save(store, "2b", "1");
    stores.clock.advance(600);
    save(store, "3", "2");
    stores.clock.advance(600);
    save(store, "other");
    expect(stored()).toEqual(["1", "2", "3", "other"]);
    stores.clock.advance(600);
    save(store, "another");
    expect(stored()).toEqual(["another", "other"]);
  });
});
