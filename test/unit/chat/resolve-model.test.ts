import { expect, test } from "bun:test";
import type { CatalogModel } from "../../../src/catalog/model.ts";
import { resolveModel } from "../../../src/chat/resolve-model.ts";
import type { InstanceStatus } from "../../../src/pool/pool.ts";
import { failure, scriptedModel } from "../../support/pool-fixture.ts";

const [a, b] = [scriptedModel({ name: "a" }), scriptedModel({ name: "b" })];

const instance = (
  identifier: string,
  model: CatalogModel,
  facts: Partial<InstanceStatus> = {},
): InstanceStatus => ({
  identifier,
  model,
  state: "ready",
  info: null,
  load: null,
  pid: 1,
  running: 0,
  queued: 0,
  lastUsedMs: 0,
  starts: 1,
  crashes: 0,
  jit: false,
  ttlMs: null,
  parallel: 4,
  ...facts,
});

async function resolve(name: string, instances: readonly InstanceStatus[], jit = true) {
  const known = [a, b];
  const catalog = {
    list: () => Promise.resolve(known),
    find: (key: string) => Promise.resolve(known.find((model) => model.key === key) ?? null),
  };
  const options = { jit, modelFallback: false, allowLlmEmbeddings: false };
  const pool = { instances: () => instances };
  return (await resolveModel({ catalog, pool }, name, "llm", options)).key;
}

test("the identifier of a loaded instance comes before a model's key, and without case last", async () => {
  expect(await resolve("b", [instance("b", a)])).toBe("a");
  expect(await resolve("b", [])).toBe("b");
  expect(await resolve("a:2", [instance("a", a), instance("a:2", a)])).toBe("a");
  expect(await resolve("MINE", [instance("Mine", a)])).toBe("a");
});

test("a pinned instance that crashed keeps its name, one that leaves or came by request does not", async () => {
  const crashed = instance("mine", a, { state: "crashed", pid: null });
  expect(await resolve("mine", [crashed])).toBe("a");
  expect(await resolve("a", [crashed], false)).toBe("a");
  const gone: Partial<InstanceStatus>[] = [
    { state: "stopping" },
    { state: "draining" },
    { state: "crashed", jit: true },
    { state: "failed" },
  ];
  for (const facts of gone) {
    const error = await failure(resolve("mine", [instance("mine", a, facts)]));
    expect(error.code).toBe("model_not_found");
    const closed = await failure(resolve("a", [instance("a", a, facts)], false));
    expect(closed.code).toBe("model_not_loaded");
  }
});
