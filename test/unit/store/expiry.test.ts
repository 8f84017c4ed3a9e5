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
    stores.clock.advance(800);
    expect(stored()).toEqual(["1", "2", "3"]);
    stores.clock.advance(100);
    save(store, "other");
    stores.clock.advance(900);
    expect(stored()).toEqual(["other"]);
  });
});

const HOUR_MS = 3_600_000;

describe("without any request", () => {
  test("expired answers go within an hour, and their text is in no file any more", () => {
    const store = stores.open({ ttlMs: 10 * HOUR_MS });
    store.save({ id: "1", owner: "a", previousId: null, body: "needle".repeat(5) });
    stores.clock.advance(9.5 * HOUR_MS);
    expect(stored()).toEqual(["1"]);
    stores.clock.advance(HOUR_MS);
    expect(stored()).toEqual([]);
    expect(stores.filesWith("needleneedle")).toEqual([]);
  });

  test("the text of what gave way to others is gone within an hour as well", () => {
    const store = stores.open({ ttlMs: 10 * HOUR_MS, maxCount: 1 });
    store.save({ id: "1", owner: "a", previousId: null, body: "needle".repeat(5) });
    save(store, "2");
    stores.clock.advance(HOUR_MS);
    expect(stores.filesWith("needleneedle")).toEqual([]);
  });

  test("many go a hundred at a time, so that no request waits for them all", () => {
    const store = stores.open({ maxCount: 1_000, maxBytes: 1_000_000 });
    for (let index = 0; index < 250; index++) save(store, String(index));
    stores.clock.advance(1_000);
    expect(stored()).toHaveLength(150);
    stores.clock.advance(500);
    expect(stored()).toHaveLength(0);
  });

  test("a failure is made good by a later time", () => {
    const store = stores.open();
    save(store, "1");
    {
      using other = stores.elsewhere();
      other.run("BEGIN IMMEDIATE");
      stores.clock.advance(1_000);
    }
    expect(stored()).toEqual(["1"]);
    stores.clock.advance(1_000);
    expect(stored()).toEqual([]);
  });

  test("a closed store looks no more", () => {
    const store = stores.open();
    expect(stores.clock.pending).toBe(1);
    stores.close(store);
    expect(stores.clock.pending).toBe(0);
  });
});

describe("a clock that is wrong", () => {
  const DAY_MS = 24 * HOUR_MS;
  const LIMITS = { ttlMs: 30 * DAY_MS };

  test("when the machine starts, and is set within the half hour, costs no answer", () => {
    const first = stores.open(LIMITS);
    save(first, "1");
    stores.close(first);
    stores.wrongByMs = 3_650 * DAY_MS;
    const second = stores.open(LIMITS);
    expect(ids(second, "1")).toBeNull();
    save(second, "2");
    stores.clock.advance(HOUR_MS / 2 - 1);
    stores.wrongByMs = 0;
    stores.clock.advance(2 * HOUR_MS);
    expect(ids(second, "1")).toEqual(["1"]);
    expect(stored()).toEqual(["1", "2"]);
  });

  test.each([1, -1])(
    "for less than an hour while the server runs, either way, costs none",
    (way) => {
      const store = stores.open(LIMITS);
      save(store, "1");
      for (let time = 0; time < 5; time++) {
        stores.clock.advance(1.25 * HOUR_MS);
        stores.wrongByMs = way * 3_650 * DAY_MS;
        save(store, `wrong ${time}`);
        stores.clock.advance(0.75 * HOUR_MS);
        stores.wrongByMs = 0;
      }
      stores.clock.advance(3 * HOUR_MS);
      expect(ids(store, "1")).toEqual(["1"]);
    },
  );

  test("is believed when it stays so: what it says has expired goes", () => {
    const store = stores.open(LIMITS);
    save(store, "1");
    stores.clock.advance(3 * HOUR_MS);
    stores.wrongByMs = 31 * DAY_MS;
    stores.clock.advance(3 * HOUR_MS);
    expect(stored()).toEqual([]);
  });

  test("is not the reason when a server was off for long: what expired goes within an hour", () => {
    const first = stores.open(LIMITS);
    save(first, "1");
    stores.close(first);
    stores.clock.jump(31 * DAY_MS);
    const second = stores.open(LIMITS);
    expect([ids(second, "1"), stored()]).toEqual([null, ["1"]]);
    stores.clock.advance(HOUR_MS);
    expect(stored()).toEqual([]);
  });

  test("is not the reason when a server never runs for an hour: the newest answer tells the time", () => {
    const first = stores.open(LIMITS);
    save(first, "1");
    stores.close(first);
    stores.clock.jump(31 * DAY_MS);
    const second = stores.open(LIMITS);
    save(second, "2");
    stores.close(second);
    stores.open(LIMITS);
    expect(stored()).toEqual(["2"]);
  });
});
