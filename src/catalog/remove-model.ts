import { lstat, readdir, realpath, rmdir } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { LmError } from "../lib/errors.ts";
import { removeFile, syncFolder } from "./download/target-file.ts";
import { codeOf } from "./failure-words.ts";
import type { CatalogModel } from "./model.ts";
import { sidecarOf } from "./sidecar-template.ts";

/** A model, or a LoRA adapter, as far as removing it goes. */
export type Removable = Pick<CatalogModel, "key" | "path" | "files" | "source">;

/** What removing a model takes away. */
export interface Removal {
  files: readonly string[];
  /** A link to a file elsewhere, or one of several names of a file, frees nothing. */
  freedBytes: number;
}

/**
 * Which files belong to a model alone: its shards, its template, and its projector when no other
 * model lies beside it. Removes nothing.
 * @param modelsDirs the folders that are ours.
 * @throws LmError `invalid_file` when the model belongs to another program or lies elsewhere.
 */
export async function planRemoval(
  model: Removable,
  modelsDirs: readonly string[],
): Promise<Removal> {
  if (model.source !== "models-dir") throw foreign(model);
  const folder = dirname(model.path);
  const roots = await Promise.all(modelsDirs.map((path) => realpath(path).catch(() => null)));
  for (const path of model.files) {
    const parent = await realpath(dirname(path)).catch(() => "");
    if (!roots.some((root) => root !== null && (parent + sep).startsWith(root + sep)))
      throw fail(path, "it does not lie in a models folder");
  }
  const names = await readdir(folder).catch(() => []);
  const ours = new Set(model.files);
  const isProjector = (name: string): boolean => /mmproj.*\.gguf$/i.test(name);
  const isAlone = names.every(
    (name) => !/\.gguf$/i.test(name) || isProjector(name) || ours.has(join(folder, name)),
  );
  const isOwnFolder = !modelsDirs.includes(folder);
  const beside = [
    sidecarOf(model.path),
    ...(isAlone && isOwnFolder ? names.filter(isProjector).map((name) => join(folder, name)) : []),
  ];
  const files: string[] = [];
  let freedBytes = 0;
  for (const path of [...model.files, ...beside]) {
    const facts = await lstat(path).catch(() => null);
    if (facts === null || (!facts.isFile() && !facts.isSymbolicLink())) continue;
    files.push(path);
    if (facts.isFile() && facts.nlink === 1) freedBytes += facts.size;
  }
  return { files, freedBytes };
}

/**
 * Removes the files of `planRemoval`, and the folders that are empty then. A model that is loaded
 * keeps running: its engine holds the file.
 */
export async function removeModel(
  model: Removable,
  modelsDirs: readonly string[],
): Promise<Removal> {
  const removal = await planRemoval(model, modelsDirs);
  for (const path of removal.files) {
    try {
      await removeFile(path);
    } catch (error) {
      throw fail(path, `it cannot be removed (${codeOf(error)})`, { cause: error });
    }
  }
  let folder = dirname(model.path);
  await syncFolder(model.path);
  while (!modelsDirs.includes(folder) && folder !== dirname(folder)) {
    const isRemoved = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!isRemoved) break;
    folder = dirname(folder);
  }
  return removal;
}

const fail = (path: string, reason: string, options?: ErrorOptions) =>
  new LmError("invalid_file", { path, reason }, `${path}: ${reason}.`, options);

function foreign(model: Removable): LmError<"invalid_file"> {
  return model.source === "demo"
    ? fail(model.key, "it is built in; --no-demo hides it")
    : fail(model.path, `it belongs to another program (${model.source}); remove it there`);
}
