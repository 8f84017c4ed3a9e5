import type { CatalogModel } from "../catalog/model.ts";
import { invalidRequest } from "../lib/errors.ts";

/** Architectures whose window llama.cpp heeds. Where others name one, the engine knows. Source: llama-model.cpp. */
const WINDOWED = /^(?:gemma[2-9]|gpt-oss|cohere2|exaone4|olmo2|smallthinker)/;

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
function forgets({ architecture, header }: CatalogModel, contextLength: number): boolean {
  const window = header.slidingWindow ?? 0;
  return WINDOWED.test(architecture) && window > 0 && window < contextLength;
}
