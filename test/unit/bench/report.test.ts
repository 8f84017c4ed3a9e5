import { expect, test } from "bun:test";
import { quantile, rowOf, table } from "../../../scripts/bench/report.ts";
import { alternate, measure } from "../../../scripts/bench/workload.ts";
import type { Server } from "../../../scripts/bench/servers.ts";

const server = (name: string): Server => ({
  name,
  baseUrl: "",
  model: "",
  startMs: 0,
  pid: 0,
  peakBytes: () => 0,
  stop: async () => {},
});

test("the ratio is the median of neighbouring rounds, not the ratio of medians", () => {
  const row = rowOf({ what: "tokens/s", ours: [10, 40, 90], peer: [20, 40, 30] });
  expect(row).toMatchObject({ ours: 40, peer: 30, ratio: 1, target: null, isMet: null });
});

test("a target of the ratio is judged by the ratio, and not at all without a peer", () => {
  const target = { of: "ratio", atLeast: 1 } as const;
  expect(rowOf({ what: "x", ours: [9], peer: [10], target }).isMet).toBe(false);
  expect(rowOf({ what: "x", ours: [10], peer: [10], target }).isMet).toBe(true);
  expect(rowOf({ what: "x", ours: [10], peer: null, target })).toMatchObject({
    target: null,
    isMet: null,
  });
});

test("a target of the value is judged by our own median", () => {
  const target = { of: "value", atMost: 120 } as const;
  expect(rowOf({ what: "MB", ours: [100, 130, 110], peer: null, target }).isMet).toBe(true);
  const row = rowOf({ what: "MB", ours: [121], peer: [1], target });
  expect(row).toMatchObject({ target: "value <= 120", isMet: false });
  expect(table([row])).toContain("| MB | 121 | 1 | 121.000 | value <= 120 NOT met |");
});

test("a missing round makes no ratio up", () => {
  expect(rowOf({ what: "x", ours: [1], peer: [] }).ratio).toBeNaN();
  expect(quantile([], 0.5)).toBeNaN();
});

test("servers take turns in changing order and keep their own results", async () => {
  const calls: string[] = [];
  const results = await alternate(
    [server("a"), server("b")],
    3,
    async ({ name }, round) => {
      calls.push(`${name}${round}`);
      return `${name}${round}`;
    },
    0,
  );
  expect(calls).toEqual(["a0", "b0", "b1", "a1", "a2", "b2"]);
  expect(results).toEqual([
    ["a0", "a1", "a2"],
    ["b0", "b1", "b2"],
  ]);
  expect(measure(results, "round", (result) => Number(result.at(-1)))).toEqual({
    what: "round",
    ours: [0, 1, 2],
    peer: [0, 1, 2],
  });
});
