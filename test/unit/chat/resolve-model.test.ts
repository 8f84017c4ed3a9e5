import { expect, test } from "bun:test";
import type { CatalogModel } from "../../../src/catalog/model.ts";
import { resolveModel } from "../../../src/chat/resolve-model.ts";
import type { InstanceStatus } from "../../../src/pool/pool.ts";
import { failure, LOAD_DEFAULTS, scriptedModel } from "../../support/pool-fixture.ts";

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
  loadedFraction: 1,
  load: null,
  pid: 1,
  running: 0,
  activity: "idle",
  queued: 0,
  lastUsedMs: 0,
  starts: 1,
  crashes: 0,
  jit: false,
  ttlMs: null,
  parallel: 4,
  settings: LOAD_DEFAULTS,
  ...facts,
});

async function resolve(name: string, instances: readonly InstanceStatus[], jit = true) {
  const known = [a, b];
  const catalog = {
    list: () => Promise.resolve(known),
    find: (key: string, how?: "exactly") => {
      const wanted = how === "exactly" ? key : key.toLowerCase();
      return Promise.resolve(known.find((model) => model.key === wanted) ?? null);
    },
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

test("an identifier in other case comes after a key as it is written, and before one that is not", async () => {
  expect(await resolve("b", [instance("B", a)])).toBe("b");
  expect(await resolve("B", [instance("b", a)])).toBe("a");
  expect(await resolve("B", [instance("mine", a)])).toBe("b");
});

test("an instance called default is reached by that name, beside others", async () => {
  expect(await resolve("default", [instance("default", a), instance("b", b)])).toBe("a");
  const error = await failure(resolve("default", [instance("a", a), instance("b", b)]));
  expect(error.code).toBe("invalid_request");
});

test("an unknown name is told what a list would show: identifiers, then what is not loaded", async () => {
  const error = await failure(resolve("nope", [instance("two", a), instance("one", a)]));
  expect(error.message).toEndWith("Your models:\n\none\ntwo\nb");
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
