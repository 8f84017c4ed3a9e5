import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasCode } from "../../../src/lib/errors.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { ResponseStore, type StoreLimits } from "../../../src/store/response-store.ts";

let folder: string;
let path: string;
let nowMs: number;
let stores: ResponseStore[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmserver-store-"));
  path = join(folder, "responses.sqlite");
  nowMs = 1_700_000_000_000;
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true });
});

const LIMITS: StoreLimits = { ttlMs: 1_000, maxCount: 10, maxBytes: 10_000 };
function open(limits: Partial<StoreLimits> = {}, where: string | null = path): ResponseStore {
  const clock = { now: () => nowMs };
  const store = new ResponseStore({
    path: where,
    limits: { ...LIMITS, ...limits },
    clock,
    log: silentLog,
  });
  stores.push(store);
  return store;
}
function close(store: ResponseStore): void {
  stores = stores.filter((other) => other !== store);
  store.close();
}
const save = (store: ResponseStore, id: string, previousId: string | null = null, owner = "a") =>
  store.save({ id, owner, previousId, body: { says: id } });
const ids = (store: ResponseStore, id: string, owner = "a") =>
  store.chain(id, owner)?.map((response) => response.id) ?? null;

describe.each(["disk", "memory"])("on %s", (kind) => {
  const where = (): string | null => (kind === "disk" ? path : null);

  test("a chain comes oldest first, and branches share what is before them", () => {
    const store = open({}, where());
    save(store, "1");
    save(store, "2", "1");
    save(store, "3", "2");
    save(store, "2b", "1");
    expect(ids(store, "3")).toEqual(["1", "2", "3"]);
    expect(ids(store, "2b")).toEqual(["1", "2b"]);
    expect(store.chain("1", "a")?.[0]?.body).toEqual({ says: "1" });
  });

  test("T-B5: nobody else finds, continues or deletes it", () => {
    const store = open({}, where());
    save(store, "1");
    expect(ids(store, "1", "b")).toBeNull();
    expect(ids(store, "1", "")).toBeNull();
    expect(store.delete("1", "b")).toBe(false);
    expect(ids(store, "1")).toEqual(["1"]);
  });

  test("a chain with a missing link is no chain", () => {
    const store = open({}, where());
    save(store, "1");
    save(store, "2", "1");
    expect(store.delete("1", "a")).toBe(true);
    expect(ids(store, "2")).toBeNull();
    expect(store.delete("1", "a")).toBe(false);
  });

  test("too old is unknown", () => {
    const store = open({}, where());
    save(store, "1");
    nowMs += 999;
    expect(ids(store, "1")).toEqual(["1"]);
    nowMs += 1;
    expect(ids(store, "1")).toBeNull();
  });

  test("of too many, the least recently used goes, and a used chain stays whole", () => {
    const store = open({ maxCount: 3 }, where());
    save(store, "1");
    save(store, "2", "1");
    save(store, "other");
    ids(store, "2");
    save(store, "3", "2");
    expect(ids(store, "other")).toBeNull();
    expect(ids(store, "3")).toEqual(["1", "2", "3"]);
  });

  test("of too many bytes as well, down to none", () => {
    const store = open({ maxBytes: 25 }, where());
    save(store, "1");
    save(store, "2");
    save(store, "3");
    expect([ids(store, "1"), ids(store, "2"), ids(store, "3")]).toEqual([null, ["2"], ["3"]]);
    store.save({ id: "big", owner: "a", previousId: null, body: "x".repeat(100) });
    expect([ids(store, "3"), ids(store, "big")]).toEqual([null, null]);
    save(store, "4");
    expect(ids(store, "4")).toEqual(["4"]);
  });
});

test("what is on disk survives, and the limits hold for it", () => {
  const first = open();
  save(first, "1");
  save(first, "2", "1");
  close(first);
  const second = open();
  expect(ids(second, "2")).toEqual(["1", "2"]);
  close(second);
  const third = open({ maxCount: 1 });
  expect(ids(third, "2")).toBeNull();
});

test("T-L4: every file is its owner's alone, and becomes so", () => {
  writeFileSync(path, "", { mode: 0o644 });
  const store = open();
  save(store, "1");
  const names = readdirSync(folder);
  expect(names.length).toBeGreaterThan(1);
  for (const name of names) expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
});

test("a link in the place of the file is not followed", () => {
  writeFileSync(join(folder, "other"), "");
  symlinkSync(join(folder, "other"), path);
  expect(() => open()).toThrow(/cannot be used/);
  expect(statSync(join(folder, "other")).size).toBe(0);
});

test("T-L10: deleted text is in no file any more", () => {
  const store = open();
  store.save({ id: "1", owner: "a", previousId: null, body: "needle".repeat(5) });
  save(store, "2");
  store.delete("1", "a");
  for (const name of readdirSync(folder)) {
    expect(readFileSync(join(folder, name)).includes("needleneedle")).toBe(false);
  }
});

describe("a damaged file is moved aside and a new one begun", () => {
  test("when it is no database", () => {
    writeFileSync(path, "not a database at all, but long enough to look at it".repeat(10));
    const store = open();
    save(store, "1");
    expect(ids(store, "1")).toEqual(["1"]);
    expect(readdirSync(folder).some((name) => name.includes(".damaged-"))).toBe(true);
  });

  test("when the damage shows only later", () => {
    const store = open();
    save(store, "1");
    const other = new Database(path);
    other.run("DROP TABLE responses");
    other.close();
    expect(ids(store, "1")).toBeNull();
    save(store, "2");
    expect(ids(store, "2")).toEqual(["2"]);
    expect(readdirSync(folder).some((name) => name.includes(".damaged-"))).toBe(true);
  });
});

test("a file of a newer version is refused and left as it is", () => {
  close(open());
  const database = new Database(path);
  database.run("PRAGMA user_version = 99");
  database.close();
  const problem = (() => {
    try {
      return open();
    } catch (error) {
      return error;
    }
  })();
  expect(hasCode(problem, "invalid_file")).toBe(true);
  expect(readdirSync(folder).some((name) => name.includes(".damaged-"))).toBe(false);
});
