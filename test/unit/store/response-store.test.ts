import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../../../src/lib/errors.ts";
import { ids, save, StoreFixture } from "../../support/store-fixture.ts";

let stores: StoreFixture;
beforeEach(() => {
  stores = new StoreFixture();
});
afterEach(() => stores[Symbol.dispose]());

describe.each(["disk", "memory"])("on %s", (kind) => {
  const where = (): string | null => (kind === "disk" ? stores.path : null);

  test("a chain comes oldest first, and branches share what is before them", () => {
    const store = stores.open({}, where());
    save(store, "1");
    save(store, "2", "1");
    save(store, "3", "2");
    save(store, "2b", "1");
    expect(ids(store, "3")).toEqual(["1", "2", "3"]);
    expect(ids(store, "2b")).toEqual(["1", "2b"]);
    expect(store.chain("1", "a")?.[0]?.body).toEqual({ says: "1" });
  });

  test("T-B5: nobody else finds or continues it", () => {
    const store = stores.open({}, where());
    save(store, "1");
    expect(ids(store, "1", "b")).toBeNull();
    expect(ids(store, "1", "")).toBeNull();
    expect(ids(store, "1")).toEqual(["1"]);
  });

  test("too old is unknown", () => {
    const store = stores.open({}, where());
    save(store, "1");
    stores.clock.advance(999);
    expect(ids(store, "1")).toEqual(["1"]);
    stores.clock.advance(1);
    expect(ids(store, "1")).toBeNull();
  });

  test("of too many, the least recently used goes, and a used chain stays whole", () => {
    const store = stores.open({ maxCount: 3 }, where());
    save(store, "1");
    save(store, "2", "1");
    save(store, "other");
    ids(store, "2");
    save(store, "3", "2");
    expect(ids(store, "other")).toBeNull();
    expect(ids(store, "3")).toEqual(["1", "2", "3"]);
  });

  test("of too many bytes as well, and what is larger than the store takes nothing away", () => {
    const store = stores.open({ maxBytes: 25 }, where());
    save(store, "1");
    save(store, "2");
    save(store, "3");
    expect([ids(store, "1"), ids(store, "2"), ids(store, "3")]).toEqual([null, ["2"], ["3"]]);
    const big = { id: "big", owner: "a", previousId: null, body: "x".repeat(100) };
    expect(store.save(big)).toBe(false);
    expect([ids(store, "2"), ids(store, "3"), ids(store, "big")]).toEqual([["2"], ["3"], null]);
    expect(save(store, "4")).toBe(true);
    expect(ids(store, "4")).toEqual(["4"]);
  });
});

test("what is on disk survives, and the limits hold for it", () => {
  const first = stores.open();
  save(first, "1");
  save(first, "2", "1");
  stores.close(first);
  const second = stores.open();
  expect(ids(second, "2")).toEqual(["1", "2"]);
  stores.close(second);
  const third = stores.open({ maxCount: 1 });
  expect([ids(third, "1"), ids(third, "2")]).toEqual([["1"], null]);
});

test("T-L4: every file is its owner's alone, and becomes so", () => {
  writeFileSync(stores.path, "", { mode: 0o644 });
  const store = stores.open();
  save(store, "1");
  const names = readdirSync(stores.folder);
  expect(names.length).toBeGreaterThan(1);
  for (const name of names) expect(statSync(join(stores.folder, name)).mode & 0o077).toBe(0);
});

test("a link in the place of the file is not followed", () => {
  writeFileSync(join(stores.folder, "other"), "");
  symlinkSync(join(stores.folder, "other"), stores.path);
  expect(() => stores.open()).toThrow(/cannot be used/);
  expect(statSync(join(stores.folder, "other")).size).toBe(0);
});

test("a chain with a missing link is no chain", () => {
  const store = stores.open();
  save(store, "1");
  save(store, "2", "1");
  using other = stores.elsewhere();
  other.run("DELETE FROM responses WHERE id = '1'");
  expect(ids(store, "2")).toBeNull();
});

describe("a damaged file is moved aside and a new one begun", () => {
  test("when it is no database", () => {
    writeFileSync(stores.path, "not a database at all, but long enough to look at it".repeat(10));
    const store = stores.open();
    save(store, "1");
    expect(ids(store, "1")).toEqual(["1"]);
    expect(readdirSync(stores.folder).some((name) => name.includes(".damaged-"))).toBe(true);
  });

  test("when the damage shows only later", () => {
    const store = stores.open();
    save(store, "1");
    const other = new Database(stores.path);
    other.run("DROP TABLE responses");
    other.close();
    expect(ids(store, "1")).toBeNull();
    save(store, "2");
    expect(ids(store, "2")).toEqual(["2"]);
    expect(readdirSync(stores.folder).some((name) => name.includes(".damaged-"))).toBe(true);
  });
});

test("a file of a newer version is refused and left as it is", () => {
  stores.close(stores.open());
  const database = new Database(stores.path);
  database.run("PRAGMA user_version = 99");
  database.close();
  const problem = (() => {
    try {
      return stores.open();
    } catch (error) {
      return error;
    }
  })();
  expect(hasCode(problem, "invalid_file")).toBe(true);
  expect(readdirSync(stores.folder).some((name) => name.includes(".damaged-"))).toBe(false);
});
