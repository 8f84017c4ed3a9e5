import type { Catalog, CatalogModel } from "../catalog/model.ts";
import { modelNotFound } from "../catalog/model-not-found.ts";
import { invalidRequest } from "../lib/errors.ts";
import { DRAFT_LIMITS, type LoadedDraft } from "../pool/pool.ts";
import { VOCABULARY_PADDING } from "../protocol/generating.ts";

/**
 * The installed model that is to draft for `main`, by what the headers of both say; the engine
 * compares the tokens themselves when it loads them.
 * @throws LmError model_not_found, or invalid_request (invalid_value) when their vocabularies differ or
 * guesses cannot be taken back.
 */
export async function resolveDraft(
  catalog: Pick<Catalog, "find" | "list">,
  name: string,
  main: CatalogModel,
): Promise<CatalogModel> {
  const draft = await catalog.find(name);
  if (draft === null) {
    const available = (await catalog.list()).map((model) => model.key);
    throw modelNotFound(name, available, "draftModel");
  }
  const problem = whyUnsuited(main, draft);
  if (problem === null) return draft;
  const message = `"${draft.key}" cannot draft for "${main.key}": ${problem}.`;
  throw invalidRequest("draftModel", "invalid_value", message);
}

/**
 * The draft model that a request names for the load it may begin; null = it names none.
 * @throws LmError as `resolveDraft`.
 */
export async function requestedDraft(
  catalog: Pick<Catalog, "find" | "list">,
  name: string | null | undefined,
  main: CatalogModel,
): Promise<LoadedDraft | null> {
  if (name == null || name === "") return null;
  return { ...DRAFT_LIMITS, model: await resolveDraft(catalog, name, main) };
}

function whyUnsuited(main: CatalogModel, draft: CatalogModel): string | null {
  if (draft.kind !== "llm") return "it is an embedding model";
  if (main.kind !== "llm") return "an embedding model says nothing";
  if (draft.header.isRecurrent) return "wrong guesses cannot be removed from its memory";
  if (main.header.isRecurrent) return "wrong guesses cannot be removed from this model's memory";
  const [mainSize, draftSize] = [main.header.vocabularySize, draft.header.vocabularySize];
  if (Math.abs(mainSize - draftSize) > VOCABULARY_PADDING) {
    return `its vocabulary has ${draftSize} tokens instead of ${mainSize}`;
  }
  const isOther = (field: "bosText" | "eosText"): boolean =>
    main[field] !== null && draft[field] !== null && main[field] !== draft[field];
  return isOther("bosText") || isOther("eosText")
    ? "their texts begin or end with different tokens"
    : null;
}
