import type { Stats } from "node:fs";

/** Why others may have had a hand in what these facts describe, or null. Windows knows no owners. */
export function strangerOf(facts: Stats, kind: "file" | "folder"): string | null {
  if (kind === "file" ? !facts.isFile() : !facts.isDirectory()) return `is not a plain ${kind}`;
  const user = process.getuid?.();
  if (user === undefined) return null;
  if (facts.uid !== user) return `belongs to another user (uid ${facts.uid})`;
  return (facts.mode & 0o022) === 0 ? null : "may be written by other users";
}
