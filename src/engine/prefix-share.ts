import type { Archive, ArchivedPrefix, Piece } from "./archive/archive.ts";
import type { Choice } from "./choice.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import type { Miss, Slot } from "./slot.ts";
import type { StoredPrefix } from "./stored-prefix.ts";
import { commonPrefixLength } from "./token-buffer.ts";

/** A prefix being computed is worth waiting for when it saves at least so many tokens. */
const WORTH_WAITING = 32;

/** Cells of a stored sequence, or of a running one (`entry` null). */
export interface CopyShare {
  kind: "copy";
  entry: StoredPrefix | null;
  sequence: number;
  length: number;
}

/** A stored sequence itself, for memory that cannot be cut. */
export interface AdoptShare {
  kind: "adopt";
  entry: StoredPrefix;
  length: number;
}

/** Where the first `length` tokens of a choice come from. */
export type Share =
  | { kind: "none"; length: 0 }
  | CopyShare
  | AdoptShare
  /** Archived pieces, after the first tokens of `base` where these are in the KV cache. */
  | { kind: "restore"; pieces: readonly Piece[]; base: CopyShare | null; length: number }
  /** An older slot is about to compute them. */
  | { kind: "wait"; slot: Slot; length: number };

export const NO_SHARE = { kind: "none", length: 0 } as const satisfies Share;

/** What can be shared with a choice. */
export interface ShareSources {
  readonly slots: readonly Slot[];
  readonly prefixes: PrefixCache;
  readonly archive: Archive | null;
  /** Sequences can be cut and shared at any length. */
  readonly isCuttable: boolean;
}

/**
 * The longest prefix of a choice's tokens that is in the KV cache, or soon will be. The last token
 * is always computed anew: its logits are not stored. Only choices of one job share their whole
 * prompt, since they sample from the same logits; jobs share only within their scope.
 */
export function findShare(choice: Choice, sources: ShareSources): Share {
  const { slots, prefixes, archive, isCuttable } = sources;
  const first = slots.find((slot) => slot.choice === choice.siblings[0]);
  if (first !== undefined && first.choice !== choice && first.choice.generated === 0) {
    return { kind: "wait", slot: first, length: choice.tokens.length };
  }
  if (!mayReuse(choice)) return NO_SHARE;
  const tokens = choice.tokens.view();
  const limit = tokens.length - 1;
  const stored = prefixes.longest(choice.job.prefixScope, tokens, limit);
  const archived = archive?.find(choice.job.prefixScope, tokens, limit) ?? null;
  if (!isCuttable) {
    if (archived !== null && archived.length > (stored?.length ?? 0)) {
      return { kind: "restore", ...archived, base: null };
    }
    return stored === null
      ? NO_SHARE
      : { kind: "adopt", entry: stored.value, length: stored.length };
  }
  let best: CopyShare | typeof NO_SHARE = NO_SHARE;
  if (stored !== null) {
    const { value: entry, length } = stored;
    best = { kind: "copy", entry, sequence: entry.sequence, length };
  }
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
  const nearest = leader.length >= best.length + WORTH_WAITING ? leader : best;
  if (archived === null || archived.length < nearest.length + WORTH_WAITING) return nearest;
  return restoreShare(archived, best);
}

/** What the KV cache holds of it already is not read back. */
function restoreShare({ pieces, length }: ArchivedPrefix, held: Share): Share {
  const missing = pieces.filter(({ start, count }) => start + count > held.length);
  const first = missing[0]?.start ?? 0;
  const base = held.kind === "copy" && first > 0 ? { ...held, length: first } : null;
  return { kind: "restore", pieces: base === null ? pieces : missing, base, length };
}

/** The share without its last piece, where only a part of that is of use; null = it has none. */
export function withoutPart(share: Share): Share | null {
  if (share.kind !== "restore") return null;
  const { pieces, base, length } = share;
  const last = pieces.at(-1);
  if (last === undefined || last.used === last.count) return null;
  const whole = pieces.slice(0, -1);
  if (whole.length === 0) return base ?? NO_SHARE;
  return { kind: "restore", pieces: whole, base, length: length - last.used };
}

/** Where a share ends that is read back whole before it is cut. */
export function readTokens(share: Share): number {
  const last = share.kind === "restore" ? share.pieces.at(-1) : undefined;
  return last === undefined ? share.length : last.start + last.count;
}

/** Tokens of a share that are in the KV cache already. */
export function heldTokens(share: Share): number {
  return share.kind === "restore" ? (share.base?.length ?? 0) : share.length;
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
  let isKnown = prefixes.isIn(prefixScope) || share.kind === "restore";
  // A sequence that ends there was used up: the rest of the prompt is new.
  let isUsedUp = stored !== null && stored.isEnd && stored.length >= share.length;
  const last = share.kind === "restore" ? share.pieces.at(-1) : undefined;
  if (last !== undefined) isUsedUp ||= last.used === last.count;
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
