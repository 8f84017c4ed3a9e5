import { afterEach, beforeEach, expect, test } from "bun:test";
import { ids, save, StoreFixture } from "../../support/store-fixture.ts";

/** What happens when nothing can be written: on a full disk every chat goes on. */

let stores: StoreFixture;
beforeEach(() => {
  stores = new StoreFixture();
});
afterEach(() => stores[Symbol.dispose]());

const WRITES = ["INSERT", "UPDATE", "DELETE"];
function elsewhere(sql: (write: string) => string): void {
  using database = stores.elsewhere();
  for (const write of WRITES) database.run(sql(write));
}
const fillDisk = (): void =>
  elsewhere(
    (write) =>
      `CREATE TRIGGER no_${write} BEFORE ${write} ON responses BEGIN SELECT RAISE(ABORT, 'disk is full'); END`,
  );
const freeDisk = (): void => elsewhere((write) => `DROP TRIGGER no_${write}`);

test("what cannot be saved says so, and what was saved can be continued all the same", () => {
  const store = stores.open();
  expect(save(store, "1")).toBe(true);
  fillDisk();
  expect(ids(store, "1")).toEqual(["1"]);
  expect(save(store, "2", "1")).toBe(false);
  expect(ids(store, "2")).toBeNull();
  freeDisk();
  expect(save(store, "3", "1")).toBe(true);
  expect(ids(store, "3")).toEqual(["1", "3"]);
});

test("a full disk is told once, and again only after something was saved in between", () => {
  const store = stores.open();
  fillDisk();
  for (const id of ["1", "2", "3"]) save(store, id);
  expect(stores.warnings).toEqual(["disk is full"]);
  freeDisk();
  save(store, "4");
  expect(stores.warnings).toHaveLength(1);
  fillDisk();
  save(store, "5");
  expect(stores.warnings).toHaveLength(2);
  expect(store.notSaved).toBe(4);
});

test("what failed to be saved does not count as stored", () => {
  const store = stores.open({ maxCount: 2 });
  save(store, "1");
  fillDisk();
  for (const id of ["x", "y", "z"]) save(store, id);
  freeDisk();
  save(store, "2");
  expect([ids(store, "1"), ids(store, "2")]).toEqual([["1"], ["2"]]);
});

test("an answer whose save finds the file damaged is not saved", () => {
  const store = stores.open();
  elsewhere(() => "DROP TABLE IF EXISTS responses");
  expect(save(store, "1")).toBe(false);
  expect(save(store, "2")).toBe(true);
  expect(ids(store, "2")).toEqual(["2"]);
});

test("a full disk does not keep a store from opening and closing", () => {
  const first = stores.open();
  for (const id of ["1", "2", "3"]) save(first, id);
  fillDisk();
  stores.close(first);
  const second = stores.open({ maxCount: 2 });
  expect(ids(second, "1")).toEqual(["1"]);
});
