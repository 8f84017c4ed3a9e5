import type { Vocabulary } from "../../llama/backend.ts";
import { VOCABULARY_PADDING } from "../../protocol/generating.ts";

/** Tokens whose bytes are compared, evenly spread, besides those that steer. */
const SAMPLES = 8192;

/** Why one model's tokens mean nothing to the other; null when they are the same. */
export function vocabularyMismatch(main: Vocabulary, draft: Vocabulary): string | null {
  if (Math.abs(main.size - draft.size) > VOCABULARY_PADDING) {
    return `it has ${draft.size} tokens instead of ${main.size}`;
  }
  if (main.bos !== draft.bos || main.eos !== draft.eos || main.addsBos !== draft.addsBos) {
    return "its texts begin or end with other tokens";
  }
  const size = Math.min(main.size, draft.size);
  const stride = Math.max(1, Math.floor(size / SAMPLES));
  const steering = [main.bos, main.eos, ...main.endOfGeneration].filter(
    (token) => token >= 0 && token < size,
  );
  const spread = Array.from({ length: Math.floor(size / stride) }, (_, index) => index * stride);
  const differing = [...steering, ...spread].find(
    (token) => Buffer.compare(main.piece(token, true), draft.piece(token, true)) !== 0,
  );
  return differing === undefined ? null : `its token ${differing} is another one`;
}
