import { constants } from "node:fs";
import {
  copyFile,
  link,
  lstat,
  open,
  readdir,
  realpath,
  rename,
  rmdir,
  stat,
  symlink,
} from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { LmError } from "../lib/errors.ts";
import { isSafeSegment } from "./download/model-source.ts";
import {
  checkDiskSpace,
  freeBytesOf,
  makeFolders,
  removeFile,
  syncFolder,
} from "./download/target-file.ts";
import { isProjector } from "./describe-model.ts";
import { UnreadableFile } from "./file-bytes.ts";
import { codeOf } from "./failure-words.ts";
import { scanGguf } from "./gguf-scan.ts";
import { isModelName } from "./file-stamp.ts";
import { pathId, shardOf, splitQuant, stemOf } from "./model-names.ts";

/** Longest name of a folder that is made after a file, in characters. */
const MAX_REPOSITORY = 128;

export type ImportMode = "move" | "copy" | "hardlink" | "symlink";

export interface ImportOptions {
  mode: ImportMode;
  /** `user/repo`; null = the system's user, and the file's name without quantisation. */
  userRepo: string | null;
  /** Made when missing. */
  modelsDir: string;
  /** Checks everything, changes nothing. */
  isDryRun: boolean;
}

export interface ImportedModel {
  /** Where the model lies now; the first of its shards when split. */
  path: string;
  /** Every file, as it was and as it is. */
  files: readonly { from: string; to: string }[];
}

/**
 * Brings a model file, with all its shards, to `<models>/<user>/<repo>/<name>`. Nothing that exists
 * is replaced; a failure leaves the source as it was.
 * @throws LmError `invalid_file` (missing, no model, target exists, other disk), `insufficient_disk`.
 */
export async function importModel(file: string, options: ImportOptions): Promise<ImportedModel> {
  const { modelsDir, mode, isDryRun } = options;
  const sources = await shardsOf(file);
  const [first = file] = sources;
  const place = placeOf(options.userRepo, basename(first));
  for (const source of sources) await checkSource(source, mode);
  const folder = join(modelsDir, ...place);
  const files = sources.map((from) => ({ from, to: join(folder, basename(from)) }));
  for (const { to } of files) await checkFree(to);
  await checkName(folder, basename(first));
  const path = files[0]?.to ?? folder;
  if (isDryRun) return { path, files };
  const real = await makeFolders(modelsDir, place);
  try {
    for (const { from, to } of files) await bring(from, join(real, basename(to)), mode);
  } catch (error) {
    await removeEmptyFolders(real);
    throw error;
  }
  return { path, files };
}

/** The folders of a repository and its publisher, where nothing lies in them. */
async function removeEmptyFolders(repository: string): Promise<void> {
  for (const folder of [repository, dirname(repository)]) {
    const isGone = await rmdir(folder).then(
      () => true,
      () => false, // it holds something
    );
    if (!isGone) return;
  }
}

const fail = (path: string, reason: string, options?: ErrorOptions) =>
  new LmError("invalid_file", { path, reason }, `${path}: ${reason}.`, options);

/** All shards of the model that a file belongs to; the file itself when it is whole. */
async function shardsOf(file: string): Promise<string[]> {
  const shard = shardOf(stemOf(basename(file)));
  if (shard === null) return [file];
  const number = (value: number): string => String(value).padStart(5, "0");
  return Array.from({ length: shard.count }, (_, index) =>
    join(
      dirname(file),
      `${shard.stem}-${number(index + 1)}-of-${number(shard.count)}${file.slice(-".gguf".length)}`,
    ),
  );
}

/** @throws LmError `invalid_file` when no folders can be named so. */
function placeOf(userRepo: string | null, fileName: string): readonly [string, string] {
  if (fileName.startsWith(".")) throw fail(fileName, "hidden files are not listed: rename it");
  if (userRepo === null) return [userName(), repositoryOf(fileName)];
  const [user = "", name = "", ...rest] = userRepo.split("/");
  if (isSafeSegment(user) && isSafeSegment(name) && rest.length === 0) return [user, name];
  throw fail(
    userRepo,
    "names of users and repositories have letters, digits, dots, dashes and underscores only",
  );
}

/** The file's name without quantisation and shard number, as a folder may be called. */
function repositoryOf(fileName: string): string {
  const stem = stemOf(fileName);
  const name = splitQuant(shardOf(stem)?.stem ?? stem).name || stem;
  if (isSafeSegment(name)) return name;
  const plain = name.replaceAll(/[^A-Za-z0-9._-]+/g, "-").slice(0, MAX_REPOSITORY);
  return plain.replaceAll(/^[-.]+|[-.]+$/g, "") || "model";
}

function userName(): string {
  let name: string;
  try {
    name = userInfo().username;
  } catch {
    // A container's user may have no name.
    return "local";
  }
  if (isSafeSegment(name)) return name;
  throw fail(name, "no folder can be named after this user: give --user-repo <user/repo>");
}

async function checkSource(path: string, mode: ImportMode): Promise<void> {
  const facts = await stat(path).catch((error: unknown) => {
    throw fail(path, codeOf(error) === "ENOENT" ? "there is no such file" : codeOf(error));
  });
  if (!facts.isFile() || !/\.gguf$/i.test(path)) throw fail(path, "it is not a .gguf file");
  if (mode === "move" && (await lstat(path)).isSymbolicLink())
    throw fail(path, "it is a link; copy it, or link to it");
  const header = await scanGguf(path).catch((cause: unknown) => {
    throw fail(path, cause instanceof UnreadableFile ? cause.message : codeOf(cause), { cause });
  });
  if (isProjector(header))
    throw fail(path, "it is a projector, no model: put it into the folder of its model");
  if (!isModelName(path)) throw fail(path, "files called mmproj are not listed: rename it");
}

async function checkFree(path: string): Promise<void> {
  const facts = await lstat(path).catch(() => null);
  if (facts !== null) throw fail(path, "a file of this name exists already");
}

/** Two files of a folder whose names are one to clients: only one of them could be asked for. */
async function checkName(folder: string, fileName: string): Promise<void> {
  const others = await readdir(folder).catch(() => []);
  const other = others.find((name) => isModelName(name) && pathId(name) === pathId(fileName));
  if (other === undefined) return;
  const reason = `${other} has the same name for clients: give another --user-repo <user/repo>`;
  throw fail(join(folder, fileName), reason);
}

async function bring(from: string, to: string, mode: ImportMode): Promise<void> {
  try {
    if (mode === "symlink") await symlink(await realpath(from), to);
    else if (mode === "hardlink") await link(await realpath(from), to);
    else if (mode === "copy") await copy(from, to);
    else await move(from, to);
    await syncFolder(to);
  } catch (error) {
    if (error instanceof LmError) throw error;
    const code = codeOf(error);
    if (code === "EEXIST") throw fail(to, "a file of this name exists already", { cause: error });
    if (code === "EXDEV")
      throw fail(from, "it lies on another disk than the models; copy it", { cause: error });
    throw fail(to, `it cannot be written (${code})`, { cause: error });
  }
}

async function move(from: string, to: string): Promise<void> {
  try {
    await publish(from, to);
  } catch (error) {
    if (codeOf(error) !== "EXDEV") throw error;
    await copy(from, to);
    await removeFile(from);
  }
}

/** Beside its place first, so that nobody sees half of it. */
async function copy(from: string, to: string): Promise<void> {
  await checkDiskSpace(dirname(to), (await stat(from)).size, freeBytesOf);
  const part = `${to}.part`;
  await copyFile(from, part, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  try {
    const handle = await open(part, "r+");
    try {
      await handle.chmod(0o600);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await publish(part, to);
  } catch (error) {
    await removeFile(part);
    throw error;
  }
}

/** Renames, but never over something: a second name cannot be given twice. */
async function publish(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Some file systems know one name per file only.
    if (!["EPERM", "ENOTSUP", "ENOSYS", "EMLINK"].includes(codeOf(error))) throw error;
    await checkFree(to);
    await rename(from, to);
    return;
  }
  await removeFile(from);
}
