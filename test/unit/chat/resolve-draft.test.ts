import { expect, test } from "bun:test";
import type { CatalogModel } from "../../../src/catalog/model.ts";
import { createChatTemplates } from "../../../src/chat/chat-templates.ts";
import type { OwnedRequest } from "../../../src/chat/events.ts";
import { FormatDetector } from "../../../src/chat/detection/format-detector.ts";
import { createGenerate } from "../../../src/chat/generate.ts";
import { resolveDraft } from "../../../src/chat/resolve-draft.ts";
import type { AcquireOptions, Lease } from "../../../src/pool/pool.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { startedOf } from "../../support/generate-fixture.ts";
import { failure, scriptedModel } from "../../support/pool-fixture.ts";
import { modelHeader } from "../../support/model-header.ts";

const sized = (
  name: string,
  vocabularySize: number,
  { isRecurrent = false, ...facts }: Partial<CatalogModel> & { isRecurrent?: boolean } = {},
) => {
  const header = modelHeader({ isRecurrent, vocabularySize });
  return scriptedModel({ name }, { header, eosText: "</s>", ...facts });
};
const large = sized("large", 32_000);
const known = [
  large,
  sized("small", 32_064),
  sized("foreign", 128_000),
  sized("other-end", 32_000, { eosText: "<|im_end|>" }),
  sized("vectors", 32_000, { kind: "embedding" }),
  sized("states", 32_000, { isRecurrent: true }),
];
const catalog = {
  list: () => Promise.resolve(known),
  find: (key: string) => Promise.resolve(known.find((model) => model.key === key) ?? null),
};

test("a draft model is an installed one with the same vocabulary", async () => {
  expect((await resolveDraft(catalog, "small", large)).key).toBe("small");
  const unknown = await failure(resolveDraft(catalog, "no\nwhere", large));
  expect(unknown).toMatchObject({
    code: "model_not_found",
    details: { model: "no\nwhere", available: known.map(({ key }) => key), param: "draftModel" },
  });
  expect(unknown.message).not.toContain("no\nwhere");
});

test.each([
  ["foreign", "its vocabulary has 128000 tokens instead of 32000"],
  ["other-end", "begin or end with different tokens"],
  ["vectors", "it is an embedding model"],
  ["states", "wrong guesses cannot be removed from its memory"],
])("%s is refused with the reason", async (name, reason) => {
  const refused = await failure(resolveDraft(catalog, name, large));
  expect(refused.details).toMatchObject({ param: "draftModel", reason: "invalid_value" });
  expect(refused.message).toContain(reason);
});

test("nothing drafts for a model that keeps states", async () => {
  const main = sized("main", 32_000, { isRecurrent: true });
  const refused = await failure(resolveDraft(catalog, "small", main));
  expect(refused.details).toMatchObject({ param: "draftModel", reason: "invalid_value" });
  expect(refused.message).toContain("removed from this model's memory");
});

async function ask(draftModel: string | null, loadedDraft: string | null) {
  const acquired: (AcquireOptions | undefined)[] = [];
  const info = { ...(loadedDraft !== null && { draftModel: loadedDraft }) } as Lease["info"];
  const lease = {
    identifier: "large",
    model: large,
    info,
    async *generate() {
      yield { type: "accepted", jobId: 1, promptTokens: 1, cachedTokens: 0 };
    },
    release: () => undefined,
  } as unknown as Lease;
  const templates = createChatTemplates(systemClock);
  const generate = createGenerate({
    catalog,
    pool: {
      acquire: (_model, _signal, options) => {
        acquired.push(options);
        return Promise.resolve(lease);
      },
      instances: () => [],
    },
    resolve: { jit: true, modelFallback: false, allowLlmEmbeddings: false },
    templates,
    detector: new FormatDetector(),
    clock: systemClock,
    defaultsOf: () => ({ sampling: {}, stops: [], system: null }),
  });
  const request = {
    model: "large",
    input: { kind: "prompt", prompt: { kind: "text", text: "a" }, format: { kind: "text" } },
    sampling: {},
    stops: [],
    maxTokens: 1,
    choices: 1,
    logprobs: null,
    promptLogprobs: false,
    cachePrompt: true,
    cacheScope: "",
    ttlSeconds: null,
    draftModel,
  } as OwnedRequest;
  const events = await Array.fromAsync(generate(request, new AbortController().signal));
  const started = startedOf(events);
  templates.close();
  return { options: acquired[0], warnings: started?.warnings ?? null };
}

test("a request's draft model is loaded with its model, and otherwise ignored with a warning", async () => {
  const asked = await ask("small", "small");
  expect(asked.options?.settings?.draft).toEqual({
    model: known[1] ?? large,
    maxTokens: 16,
    minTokens: 0,
    minProbability: 0,
  });
  expect(asked.warnings).toEqual([]);
  expect((await ask(null, null)).options?.settings).toBeUndefined();
  expect((await ask("small", null)).warnings).toEqual([
    'draftModel: it is ignored, since "large" is loaded without a draft model.',
  ]);
  expect((await ask("small", "foreign")).warnings).toEqual([
    'draftModel: it is ignored, since "large" is loaded with the draft model "foreign".',
  ]);
});
