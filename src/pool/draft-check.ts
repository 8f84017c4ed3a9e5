import type { CatalogModel } from "../catalog/model.ts";
import { invalidRequest } from "../lib/errors.ts";

/** Architectures whose window llama.cpp takes from the header. Source: llama.cpp, src/models. */
const WINDOWED =
  /^(?:afmoe|cohere2|dots3note|exaone4|exaone-moe|gemma[2-9]|gpt-oss|granite_swa|laguna|maple|mellum|mimo2|muse-glimmer|olmo2|plamo3|spark2_5|step35)/;

/**
 * That wrong guesses can be taken back in a context of so many tokens, as far as the headers say: before
 * any other model leaves for the two.
 * @throws LmError invalid_request (invalid_value).
 */
export function checkDraft(main: CatalogModel, draft: CatalogModel, contextLength: number): void {
  const whose = forgets(draft, contextLength)
    ? "its"
    : forgets(main, contextLength)
      ? "this model's"
      : null;
  if (whose === null) return;
  const message = `"${draft.key}" cannot draft for "${main.key}" with a context of ${contextLength} tokens: wrong guesses cannot be removed from ${whose} memory.`;
  throw invalidRequest("draftModel", "invalid_value", message);
}

/** Layers with a window shorter than the context give up what leaves it. */
function forgets(model: CatalogModel, contextLength: number): boolean {
  const window = windowOf(model);
  return window > 0 && window < contextLength;
}

/** Tokens; 0 = none, as far as the header says. */
function windowOf({ architecture, header }: CatalogModel): number {
  const { slidingWindow: named } = header;
  switch (architecture) {
    // Chunks, whatever else is named.
    case "llama4":
      return named === 0 ? 0 : 8_192;
    case "smallthinker":
      return (named ?? 0) > 0 ? 4_096 : 0;
    case "gemma2":
      return named ?? 4_096;
    default:
      return WINDOWED.test(architecture) ? (named ?? 0) : 0;
  }
}
