import { lstatSync, mkdirSync } from "node:fs";
import { strangerOf } from "../../lib/stranger.ts";

/**
 * Makes sure that `path` is a folder that only this user can write to: what lies in it is handed to
 * the library as it is.
 * @throws Error of the system, or one that says whose folder it is.
 */
export function openBlockFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stranger = strangerOf(lstatSync(path), "folder");
  if (stranger !== null) throw new Error(`${path} ${stranger}`);
}
