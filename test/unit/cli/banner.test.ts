import { expect, test } from "bun:test";
import type { CatalogModel } from "../../../src/catalog/model.ts";
import { bannerLines, exposureWarnings, isLoopback } from "../../../src/cli/banner.ts";

const model = (key: string, kind: "llm" | "embedding" = "llm") => ({ key, kind }) as CatalogModel;

const FACTS = {
  build: { version: "1.2.3", llamaRelease: "v0.5.0", gpuBackends: ["vulkan"] },
  urls: ["http://127.0.0.1:1234", "http://192.168.1.5:1234"],
  models: [model("qwen"), model("text-embedding-nomic", "embedding")],
  brokenCount: 0,
  modelsDirs: ["/m"],
  jit: true,
  isProtected: false,
  keyInShell: null,
};

test("the banner names version, every address, the models and a request to paste", () => {
  const text = bannerLines(FACTS).join("\n");
  expect(text).toStartWith("lmserver 1.2.3 (engine llama.cpp v0.5.0, CPU, Vulkan)\n");
  expect(text).toContain("Success! HTTP server listening on http://127.0.0.1:1234\n");
  expect(text).toContain("http://192.168.1.5:1234");
  expect(text).toContain("Models: 2 (1 LLM, 1 embedding) in /m");
  expect(text).toContain('-d \'{"model":"qwen"');
});

test("the request carries a key where one is needed", () => {
  const protectedFacts = { ...FACTS, isProtected: true };
  expect(bannerLines(protectedFacts).at(-1)).toContain('-H "Authorization: Bearer YOUR_KEY"');
  const withFile = { ...protectedFacts, keyInShell: "$(head -n 1 /k)" };
  expect(bannerLines(withFile).at(-1)).toContain('-H "Authorization: Bearer $(head -n 1 /k)"');
});

test("without a model that chats the request lists the models", () => {
  expect(bannerLines({ ...FACTS, models: [] }).at(-1)).toBe(
    "  curl http://127.0.0.1:1234/v1/models",
  );
});

test("many models are counted, not listed", () => {
  const models = Array.from({ length: 30 }, (_, index) => model(`m${index}`));
  const lines = bannerLines({ ...FACTS, models, brokenCount: 2 });
  expect(lines.length).toBeLessThan(25);
  expect(lines.join("\n")).toContain("and 22 more");
  expect(lines.join("\n")).toContain("2 more cannot be used");
});

test.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["localhost", true],
  ["::1", true],
  ["0.0.0.0", false],
  ["::", false],
  ["192.168.1.5", false],
  ["127.0.0.1.example", false],
  ["my-host", false],
])("only this machine can connect to %s: %p", (bind, expected) => {
  expect(isLoopback(bind)).toBe(expected);
});

test("T-B1: a bind beyond loopback without a key warns loudly", () => {
  const open = exposureWarnings({ bind: "0.0.0.0", isProtected: false, cors: false });
  expect(open.join("\n")).toContain("WARNING: the server accepts connections from the network");
  const keyed = exposureWarnings({ bind: "0.0.0.0", isProtected: true, cors: false });
  expect(keyed).toHaveLength(1);
  expect(keyed[0]).not.toContain("WARNING");
  expect(exposureWarnings({ bind: "127.0.0.1", isProtected: false, cors: false })).toEqual([]);
});
