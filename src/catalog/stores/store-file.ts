import { constants, type Dirent } from "node:fs";
import { open, readdir, realpath, stat } from "node:fs/promises";
import { sep } from "node:path";
import { isStarvation } from "../../lib/system-code.ts";
import { codeOf } from "../failure-words.ts";
import { stampOf } from "../file-stamp.ts";
import type { FolderWalk } from "../folder-walk.ts";
import type { ModelDefaults } from "../model.ts";

/** What a foreign store holds. `defaults` by path of the file. */
export interface StoreWalk extends FolderWalk {
  defaults: ReadonlyMap<string, ModelDefaults>;
}

/**
 * What a folder holds; nothing when it is absent or closed to us.
 * @throws what `readdir` throws when the system has no descriptor left: that says nothing.
 */
export function entriesOf(path: string): Promise<Dirent[]> {
  return readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    if (isStarvation(error)) throw error;
    return [];
  });
}

/** Real path of a store; null when it cannot be looked at. */
export function realRoot(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

/**
 * Adds one file of a store to the walk. A link counts only when it leads to a plain file inside the
 * store: what someone wrote into a cache must not open files elsewhere.
 */
export async function addStoreFile(
  walk: FolderWalk,
  root: string,
  path: string,
  relativePath: string,
): Promise<void> {
  try {
    // Of the whole path: a folder on the way may be a link as well.
    const target = await realpath(path);
    const reason = "the link leads out of its store";
    if (!isInside(root, target)) return void walk.broken.push({ path, reason });
    const facts = await stat(target);
    if (!facts.isFile()) return void walk.broken.push({ path, reason: "it is not a regular file" });
    walk.files.push(stampOf(path, relativePath, facts));
  } catch (error) {
    walk.broken.push({ path, reason: `the file cannot be read (${codeOf(error)})` });
  }
}

/** What is read besides weights is small: manifests, references, layers of text. */
const MAX_TEXT_BYTES = 2 ** 20;

/** Windows has neither flag, nor what they guard against. */
const SAFE_READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Text of a small plain file; null when it is absent, large, a link, or something else. */
export async function readSmallText(path: string): Promise<string | null> {
  const handle = await open(path, SAFE_READ).catch(() => null);
  if (handle === null) return null;
  try {
    const facts = await handle.stat();
    if (!facts.isFile() || facts.size > MAX_TEXT_BYTES) return null;
    return await handle.readFile("utf8");
  } catch {
    // A disk that fails while reading: as good as absent.
    return null;
  } finally {
    await handle.close();
  }
}

const isInside = (root: string, path: string): boolean =>
  path.startsWith(root.endsWith(sep) ? root : root + sep);
