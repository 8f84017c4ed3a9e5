import type { Slot } from "../slot.ts";
import type { Archive } from "./archive.ts";

/**
 * Reads the next archived piece back into a slot's sequence. When it is not there, or `archive` is null
 * because there is no room, the slot computes what is left of its prompt.
 */
export function restoreNext(slot: Slot, archive: Archive | null): void {
  const [piece, ...rest] = slot.pieces;
  if (piece === undefined) return;
  const restored = archive?.restore(slot.sequence, piece) ?? "full";
  if (restored !== "restored") {
    slot.pieces = [];
    slot.miss = { reason: restored, atToken: slot.computed };
    return;
  }
  slot.pieces = rest;
  slot.computed += piece.used;
  slot.cached += piece.used;
  slot.reserved = Math.max(slot.reserved - piece.used, 0);
  slot.source = "archive";
}
