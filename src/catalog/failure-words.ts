import { systemCode } from "../lib/system-code.ts";
import { printable } from "./model-names.ts";

/** The system's word for a failure, such as EACCES; a plain sentence otherwise. */
export function codeOf(error: unknown): string {
  const said = error instanceof Error ? printable(error.message) : "unknown failure";
  return systemCode(error) ?? said;
}

/** Whether the disk, or the user's part of it, holds no more: bytes or files. */
export const isDiskFull = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT"].includes(systemCode(error) ?? "");
