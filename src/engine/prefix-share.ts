import type { Choice } from "./choice.ts";
import type { PrefixCache, StoredPrefix } from "./prefix-cache.ts";
import type { Miss, Slot } from "./slot.ts";
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

/** What can be shared with a choice. */
export interface ShareSources {
  readonly slots: readonly Slot[];
  readonly prefixes: PrefixCache;
  /** Sequences can be cut and shared at any length. */
  readonly isCuttable: boolean;
}

/**
 * The longest prefix of a choice's tokens that is in the KV cache, or soon will be. The last token
 * is always computed anew: its logits are not stored. Only choices of one job share their whole
 * prompt, since they sample from the same logits; jobs share only within their scope.
 */
export function findShare(choice: Choice, { slots, prefixes, isCuttable }: ShareSources): Share {
  const first = slots.find((slot) => slot.choice === choice.siblings[0]);
  if (first !== undefined && first.choice !== choice && first.choice.generated === 0) {
    return { kind: "wait", slot: first, length: choice.tokens.length };
  }
  if (!mayReuse(choice)) return NO_SHARE;
  const tokens = choice.tokens.view();
  const limit = tokens.length - 1;
  const stored = prefixes.longest(choice.job.prefixScope, tokens, limit);
  if (!isCuttable) {
    return stored === null
      ? NO_SHARE
      : { kind: "adopt", entry: stored.value, length: stored.length };
  }
  let best: Share =
    stored === null
      ? NO_SHARE
      : {
          kind: "copy",
          entry: stored.value,
          sequence: stored.value.sequence,
          length: stored.length,
        };
  let leader: Share = NO_SHARE;
  for (const slot of slots) {
    if (!isShareable(slot, choice)) continue;
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

/** Why a choice with this share computes more than it would in the best case; null = nothing was missed. */
export function explainMiss(choice: Choice, share: Share, sources: ShareSources): Miss | null {
  if (!mayReuse(choice)) return { reason: "off", atToken: 0 };
  const { slots, prefixes, isCuttable } = sources;
  const { prefixScope } = choice.job;
  const tokens = choice.tokens.view();
  const limit = tokens.length - 1;
  if (share.length >= limit) return null;
  const stored = prefixes.longest(prefixScope, tokens, limit);
  if (!isCuttable) {
    const known = prefixes.sharedLength(prefixScope, tokens, limit);
    if (known > share.length) return { reason: "whole", atToken: share.length };
    return share.length > 0 ? null : { reason: "empty", atToken: 0 };
  }
  let isKnown = prefixes.isIn(prefixScope);
  // A sequence that ends there was used up: the rest of the prompt is new.
  let isUsedUp = stored !== null && stored.isEnd && stored.length >= share.length;
  for (const slot of slots) {
    if (!isShareable(slot, choice)) continue;
    isKnown = true;
    isUsedUp ||= share.length > 0 && slot.choice.tokens.length === share.length;
  }
  if (!isKnown) return { reason: "empty", atToken: 0 };
  return isUsedUp ? null : { reason: "differs", atToken: share.length };
}

function mayReuse({ job, index }: Choice): boolean {
  return job.spec.cachePrompt && !(index === 0 && job.wantsPromptScores);
}

function isShareable(slot: Slot, choice: Choice): boolean {
  const { spec, prefixScope } = slot.choice.job;
  const isOther = slot.choice !== choice;
  return isOther && spec.cachePrompt && prefixScope === choice.job.prefixScope;
}
