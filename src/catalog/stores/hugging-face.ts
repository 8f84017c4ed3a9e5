import type { Dirent } from "node:fs";
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { type FileStamp, isModelName } from "../file-stamp.ts";
import type { FolderWalk } from "../folder-walk.ts";
import type { BrokenModel } from "../model.ts";
import { shardOf, stemOf } from "../model-names.ts";
import { addStoreFile, entriesOf, readSmallText, realRoot, type StoreWalk } from "./store-file.ts";

const MAX_DEPTH = 3;
const MAX_REPOSITORIES = 10_000;
/** Of one folder. */
const MAX_ENTRIES = 10_000;

/**
 * Models in a cache of Hugging Face's libraries: `models--<owner>--<repo>/snapshots/<commit>/<file>`,
 * each a link into the repository's `blobs`. What was fetched at different times lies in different
 * commits: of each name the file in the commit of `refs/main` is listed, else the newest one.
 */
export async function walkHuggingFace(path: string): Promise<StoreWalk> {
  const walk: StoreWalk = { files: [], templates: [], broken: [], defaults: new Map() };
  const root = await realRoot(path);
  if (root === null) return walk;
  const names = (await foldersIn(root)).filter((name) => name.startsWith("models--"));
  const addRepository = async (name: string): Promise<void> => {
    const [, owner = "", repo = ""] = /^models--(.+?)--(.+)$/.exec(name) ?? [];
    if (owner !== "") await addSnapshots(walk, root, join(root, name), `${owner}/${repo}`);
  };
  await Promise.all(names.slice(0, MAX_REPOSITORIES).map(addRepository));
  walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return walk;
}

/** Real folders only: a link could lead anywhere. */
async function foldersIn(path: string): Promise<string[]> {
  const entries = await entriesOf(path);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Lists each name once: from the first commit that has the whole of it, else from the first. */
async function addSnapshots(
  walk: FolderWalk,
  root: string,
  repository: string,
  relative: string,
): Promise<void> {
  const partial: (readonly [string, Found])[] = [];
  const whole: (readonly [string, Found])[] = [];
  for (const folder of await snapshotsOf(repository)) {
    const found: FolderWalk = { files: [], templates: [], broken: [] };
    await addFolder(found, root, folder, "", 1);
    walk.templates.push(...found.templates);
    for (const entry of byName(found, folder)) (entry[1].isWhole ? whole : partial).push(entry);
  }
  const named = new Set<string>();
  for (const [name, { files, broken }] of [...whole, ...partial]) {
    if (named.has(name)) continue;
    named.add(name);
    walk.files.push(
      ...files.map((file) => ({ ...file, relativePath: relative + file.relativePath })),
    );
    walk.broken.push(...broken);
  }
}

interface Found {
  files: readonly FileStamp[];
  broken: readonly BrokenModel[];
  /** All shards are there and can be read. */
  isWhole: boolean;
}

/** What one commit holds, by name; shards of one model share theirs. */
function byName({ files, broken }: FolderWalk, folder: string): Map<string, Found> {
  const nameOf = (path: string): string => {
    const shard = shardOf(stemOf(path));
    const name = shard === null ? path : `${shard.stem}\0${shard.count}`;
    return name.slice(folder.length);
  };
  const readable = Map.groupBy(files, ({ path }) => nameOf(path));
  const unreadable = Map.groupBy(broken, ({ path }) => nameOf(path));
  const names = [...readable.keys(), ...unreadable.keys()];
  return new Map(
    names.map((name) => {
      const own = readable.get(name) ?? [];
      const lost = unreadable.get(name) ?? [];
      const count = shardOf(stemOf(own[0]?.path ?? ""))?.count ?? 1;
      return [
        name,
        { files: own, broken: lost, isWhole: own.length === count && lost.length === 0 },
      ];
    }),
  );
}

/** Of `refs/main`, then the newest first. */
async function snapshotsOf(repository: string): Promise<string[]> {
  const snapshots = join(repository, "snapshots");
  const commits = await foldersIn(snapshots);
  const main = (await readSmallText(join(repository, "refs/main")))?.trim() ?? "";
  const dated = await Promise.all(
    commits.slice(0, MAX_ENTRIES).map(async (commit) => {
      const path = join(snapshots, commit);
      const modifiedMs = (await lstat(path).catch(() => null))?.mtimeMs ?? 0;
      return { path, modifiedMs: commit === main ? Infinity : modifiedMs };
    }),
  );
  return dated.toSorted((a, b) => b.modifiedMs - a.modifiedMs).map(({ path }) => path);
}

async function addFolder(
  walk: FolderWalk,
  root: string,
  folder: string,
  relative: string,
  depth: number,
): Promise<void> {
  const entries = await entriesOf(folder);
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
