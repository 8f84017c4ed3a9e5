import type { Choice } from "./choice.ts";
import type { PrefixCache, StoredPrefix } from "./prefix-cache.ts";
import type { Slot } from "./slot.ts";
import { commonPrefixLength } from "./token-buffer.ts";

/** A prefix being computed is worth waiting for when it saves at least so many tokens. */
const WORTH_WAITING = 32;

/** Where the first `length` tokens of a choice come from. */
export type Share =
  | { kind: "none"; length: 0 }
  /** Cells of a stored sequence, or of a running one (`entry` null). */
  | { kind: "copy"; entry: StoredPrefix | null; sequence: number; length: number }
  /** A stored sequence itself, for memory that cannot be cut. */
  | { kind: "adopt"; entry: StoredPrefix; length: number }
  /** An older slot is about to compute them. */
  | { kind: "wait"; slot: Slot; length: number };

export const NO_SHARE: Share = { kind: "none", length: 0 };

/**
 * The longest prefix of a choice's tokens that is in the KV cache, or soon will be. The last token
 * is always computed anew: its logits are not stored. Only choices of one job share their whole
 * prompt, since they sample from the same logits.
 */
export function findShare(
  choice: Choice,
  slots: readonly Slot[],
  prefixes: PrefixCache,
  sharesPrefixes: boolean,
): Share {
  const { job } = choice;
  const first = slots.find((slot) => slot.choice === choice.siblings[0]);
  if (first !== undefined && first.choice !== choice && first.choice.generated === 0) {
    return { kind: "wait", slot: first, length: choice.tokens.length };
  }
  if (!job.spec.cachePrompt || (choice.index === 0 && job.wantsPromptScores)) return NO_SHARE;
  const tokens = choice.tokens.view();
  const limit = tokens.length - 1;
  const adapters = job.adapters.key;
  const stored = prefixes.longest(tokens, limit, adapters, !sharesPrefixes);
  if (!sharesPrefixes) {
    return stored === null
      ? NO_SHARE
      : { kind: "adopt", entry: stored.entry, length: stored.length };
  }
  let best: Share =
    stored === null ? NO_SHARE : { kind: "copy", ...stored, sequence: stored.entry.sequence };
  let leader: Share = NO_SHARE;
  for (const slot of slots) {
    if (slot.choice === choice || !slot.choice.job.spec.cachePrompt) continue;
    if (slot.choice.job.adapters.key !== adapters) continue;
    const planned = commonPrefixLength(slot.choice.tokens.view(), tokens, limit);
    const computed = Math.min(planned, slot.computed);
    if (computed > best.length) {
      best = { kind: "copy", entry: null, sequence: slot.sequence, length: computed };
    }
    // Only the older is waited for, so that nobody waits in a circle.
    const isOlder = slot.choice.age < choice.age;
    if (isOlder && planned > leader.length) leader = { kind: "wait", slot, length: planned };
  }
  return leader.length >= best.length + WORTH_WAITING ? leader : best;
}
