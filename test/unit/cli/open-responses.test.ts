import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { openResponses, type ResponseSettings } from "../../../src/cli/open-responses.ts";
import { silentLog } from "../../../src/lib/log.ts";
import { ids, save } from "../../support/store-fixture.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const SETTINGS: ResponseSettings = {
  responsesStore: "disk",
  responsesTtlSeconds: 60,
  responsesMax: 10,
  responsesSizeBytes: 100,
};
const rows: { name: string; over: Partial<ResponseSettings>; place: string }[] = [
  { name: "limits above 0", over: {}, place: "disk" },
  { name: "memory", over: { responsesStore: "memory" }, place: "memory" },
  { name: "no time", over: { responsesTtlSeconds: 0 }, place: "memory" },
  { name: "no answers", over: { responsesMax: 0 }, place: "memory" },
  { name: "no bytes", over: { responsesSizeBytes: 0 }, place: "memory" },
  { name: "off", over: { responsesStore: "off", responsesMax: 0 }, place: "nowhere" },
];
test.each(rows)("with $name answers are kept in $place", ({ over, place }) => {
  using folder = tempFolder();
  const store = openResponses({ ...SETTINGS, ...over }, folder.path, silentLog);
  const isKept = store !== null && save(store, "1") && ids(store, "1") !== null;
  expect(isKept).toBe(place !== "nowhere");
  expect(readdirSync(folder.path).length > 0).toBe(place === "disk");
  store?.close();
});

test("the size bounds the bodies of stored answers", () => {
  using folder = tempFolder();
  const store = openResponses(SETTINGS, folder.path, silentLog);
  const body = "x".repeat(100);
  expect(store?.save({ id: "1", owner: "", previousId: null, body })).toBe(false);
  store?.close();
});
