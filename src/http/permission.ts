import type { TokenInfo, TokenPermission } from "../config/tokens.ts";
import { LmError } from "../lib/errors.ts";

/** What a caller must be allowed to do. `public` needs no key, `any` any valid one. */
export type Permission = "public" | "any" | TokenPermission;

/** Who asks, and what they may do. */
export interface Caller {
  /** Owns what it creates; "" where nobody has to prove who they are. */
  id: string;
  /** null = everything. */
  permissions: TokenInfo["permissions"] | null;
}

/** Where nobody has to prove who they are, everybody may do everything. */
export const ANYBODY: Caller = Object.freeze({ id: "", permissions: null });

/** Routes that change the server itself: pages of other origins may not use them. */
export function isManagement(permission: Permission): boolean {
  return permission !== "public" && permission !== "any" && permission !== "inference";
}

/** @throws LmError forbidden when the caller's token lacks what the route needs. */
export function checkPermission({ permissions }: Caller, needed: Permission): void {
  if (permissions === null || needed === "public" || needed === "any") return;
  if (permissions.includes(needed)) return;
  throw new LmError(
    "forbidden",
    { reason: "insufficient_permissions" },
    `This token lacks the permission '${needed}'.`,
  );
}
