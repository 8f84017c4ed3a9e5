import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { hasCode, type LmError } from "../../../src/lib/errors.ts";
import { ResponseTable } from "../../../src/store/response-table.ts";
import { ids, save, StoreFixture } from "../../support/store-fixture.ts";

/** Another program, such as a backup, has the file: nobody waits for it. */

let stores: StoreFixture;
beforeEach(() => {
  stores = new StoreFixture();
});
afterEach(() => stores[Symbol.dispose]());

const failureOf = (work: () => unknown): LmError<"overloaded"> | null => {
  try {
    work();
    return null;
  } catch (error) {
    if (hasCode(error, "overloaded")) return error;
    throw error;
  }
};

test("while another program writes, chats go on from what is stored, and nothing new is", () => {
  const store = stores.open();
  save(store, "1");
  using other = stores.elsewhere();
  other.run("BEGIN IMMEDIATE");
  for (const id of ["x", "y", "z"]) {
    expect(ids(store, "1")).toEqual(["1"]);
    expect(save(store, id, "1")).toBe(false);
  }
  other.run("ROLLBACK");
  expect(save(store, "2", "1")).toBe(true);
  expect(ids(store, "2")).toEqual(["1", "2"]);
});

/** What the database says of a lock: readers meet one only while another program repairs the file. */
function lockError(): unknown {
  using holder = stores.elsewhere();
  using other = stores.elsewhere();
  holder.run("BEGIN IMMEDIATE");
  try {
    return other.run("BEGIN IMMEDIATE");
  } catch (error) {
    return error;
  }
}

test("a chain that cannot be read for a lock is to be asked for again", () => {
  const store = stores.open();
  save(store, "1");
  const locked = lockError();
  const find = spyOn(ResponseTable.prototype, "find").mockImplementation(() => {
    throw locked;
  });
  const failure = failureOf(() => store.chain("1", "a"));
  find.mockRestore();
  expect(failure?.details.retryAfterMs).toBe(1_000);
  expect(failure?.message).toContain("Another program");
  expect(ids(store, "1")).toEqual(["1"]);
});
