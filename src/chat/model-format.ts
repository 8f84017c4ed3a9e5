import type { Lease } from "../pool/pool.ts";
import { waitFor } from "../lib/wait.ts";
import { type ChatTemplates, templateOf } from "./chat-templates.ts";
import type { DetectedFormat } from "./detection/detect-format.ts";
import type { FormatDetector } from "./detection/format-detector.ts";
import { REASONING_TAG_TEXTS } from "./detection/reasoning-tags.ts";

/** What is known of models, across requests. */
export interface ChatKnowledge {
  templates: ChatTemplates;
  detector: FormatDetector;
}

/** How a model writes calls and reasoning: found once per template and vocabulary. */
export async function detectFormat(
  { templates, detector }: ChatKnowledge,
  lease: Lease,
  signal: AbortSignal,
): Promise<DetectedFormat> {
  const source = templateOf(lease.model);
  return detector.detect({
    source,
    render: (messages, options) => templates.renderProbe(source, messages, options),
    singleTokens: await singleTokensOf(lease, signal),
  });
}

/** By loaded model, as a reload may bring another vocabulary to the same path. */
const knownTokens = new WeakMap<Lease["info"], Promise<ReadonlySet<string>>>();

/**
 * The reasoning tags that are one token of the model's vocabulary. Requests that come together wait
 * for the first one's answer; when that one is cancelled the next asks itself.
 */
async function singleTokensOf(lease: Lease, signal: AbortSignal): Promise<ReadonlySet<string>> {
  for (;;) {
    const known = knownTokens.get(lease.info);
    if (known === undefined) break;
    try {
      return await waitFor(known, signal);
    } catch {
      signal.throwIfAborted();
    }
  }
  const found = countTokens(lease, signal);
  knownTokens.set(lease.info, found);
  found.catch(() => knownTokens.delete(lease.info));
  return await found;
}

async function countTokens(lease: Lease, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const single = new Set<string>();
  await Promise.all(
    REASONING_TAG_TEXTS.map(async (text) => {
      const prompt = { kind: "text", text, addSpecial: false, parseSpecial: true } as const;
      const tokens = await lease.tokenize(prompt, signal);
      if (tokens.length === 1) single.add(text);
    }),
  );
  return single;
}
