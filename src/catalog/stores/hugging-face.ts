import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isModelName } from "../file-stamp.ts";
import { addStoreFile, readSmallText, realRoot, type StoreWalk } from "./store-file.ts";

const MAX_DEPTH = 3;
const MAX_REPOSITORIES = 10_000;
/** Of one folder. */
const MAX_ENTRIES = 10_000;

/**
 * Models in a cache of Hugging Face's libraries: `models--<owner>--<repo>/snapshots/<commit>/<file>`,
 * each a link into the repository's `blobs`. Of each repository the commit of `refs/main` is
 * listed, or the newest one.
 */
export async function walkHuggingFace(path: string): Promise<StoreWalk> {
  const walk: StoreWalk = { files: [], templates: [], broken: [], defaults: new Map() };
  const root = await realRoot(path);
  if (root === null) return walk;
  const names = (await foldersIn(root)).filter((name) => name.startsWith("models--"));
  const addRepository = async (name: string): Promise<void> => {
    const [, owner = "", repo = ""] = /^models--(.+?)--(.+)$/.exec(name) ?? [];
    const snapshot = owner === "" ? null : await snapshotOf(join(root, name));
    if (snapshot !== null) await addFolder(walk, root, snapshot, `${owner}/${repo}`, 1);
  };
  await Promise.all(names.slice(0, MAX_REPOSITORIES).map(addRepository));
  walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return walk;
}

/** Real folders only: a link could lead anywhere. */
async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function snapshotOf(repository: string): Promise<string | null> {
  const snapshots = join(repository, "snapshots");
  const commits = await foldersIn(snapshots);
  const main = (await readSmallText(join(repository, "refs/main")))?.trim() ?? "";
  if (commits.includes(main)) return join(snapshots, main);
  const dated = await Promise.all(
    commits.map(async (commit) => {
      const path = join(snapshots, commit);
      return { path, modifiedMs: (await lstat(path).catch(() => null))?.mtimeMs ?? 0 };
    }),
  );
  return dated.toSorted((a, b) => b.modifiedMs - a.modifiedMs)[0]?.path ?? null;
}

async function addFolder(
  walk: StoreWalk,
  root: string,
  folder: string,
  relative: string,
  depth: number,
): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const addEntry = async (entry: Dirent): Promise<void> => {
    const path = join(folder, entry.name);
    const inside = `${relative}/${entry.name}`;
    if (entry.isDirectory() && depth < MAX_DEPTH)
      await addFolder(walk, root, path, inside, depth + 1);
    else if (!entry.isDirectory() && isModelName(entry.name))
      await addStoreFile(walk, root, path, inside);
    else if (entry.isFile() && entry.name.endsWith(".jinja")) walk.templates.push(path);
  };
  await Promise.all(entries.slice(0, MAX_ENTRIES).map(addEntry));
}
