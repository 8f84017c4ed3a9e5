import { expect, test } from "bun:test";
import { lifecycleOf, type Lifecycle, type LifecycleFacts } from "../../../src/pool/lifecycle.ts";
import { LIFECYCLE } from "../../support/lifecycle.ts";

const rows: { facts: Partial<LifecycleFacts>; state: Lifecycle }[] = [
  { facts: { isOnDisk: false }, state: "absent" },
  { facts: { isOnDisk: false, downloads: ["failed", "completed"] }, state: "absent" },
  { facts: { isOnDisk: false, downloads: ["queued"] }, state: "downloading" },
  { facts: { isOnDisk: false, downloads: ["failed", "paused"] }, state: "downloading" },
  { facts: {}, state: "on-disk" },
  { facts: { downloads: ["downloading"] }, state: "on-disk" },
  { facts: { isCoolingDown: true }, state: "failed" },
  { facts: { instances: [{ state: "starting" }] }, state: "loading" },
  { facts: { instances: [{ state: "loading" }], isCoolingDown: true }, state: "loading" },
  { facts: { instances: [{ state: "ready" }] }, state: "loaded" },
  { facts: { instances: [{ state: "draining" }] }, state: "draining" },
  { facts: { instances: [{ state: "stopping" }] }, state: "unloading" },
  { facts: { instances: [{ state: "crashed" }] }, state: "on-disk" },
  { facts: { instances: [{ state: "crashed" }], isCoolingDown: true }, state: "failed" },
  {
    facts: {
      instances: [{ state: "stopping" }, { state: "ready" }],
    },
    state: "loaded",
  },
];

test.each(rows)("$facts is $state", ({ facts, state }) => {
  const nothing = { isOnDisk: true, downloads: [], instances: [], isCoolingDown: false };
  expect(lifecycleOf({ ...nothing, ...facts })).toBe(state);
});

test("every state is left, and reached from absent", () => {
  const reached = new Set<Lifecycle>(["absent"]);
  for (const state of reached) for (const next of LIFECYCLE[state]) reached.add(next);
  expect([...reached].toSorted()).toEqual(Object.keys(LIFECYCLE).toSorted() as Lifecycle[]);
});
