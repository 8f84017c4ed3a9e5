import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { strangerOf } from "../lib/stranger.ts";
import { reasonOf } from "./cache-folder.ts";
import type { BundledFile } from "./manifest.ts";

/** Windows has no such flag. */
const READ_PLAIN = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);

/**
 * What is wrong with the files of a folder, or null when the folder holds exactly these files, with
 * exactly these bytes, and only this user can have written them. The backends of llama.cpp are found by
 * their names in the folder, so a file too many is code too much.
 *
 * Each file is opened without following a link, and judged and hashed on that descriptor: 11 ms for
 * 9 MB. By threads beside this one the same took longer, because a start keeps both cores busy.
 */
export function findDamage(folder: string, files: readonly BundledFile[]): string | null {
  try {
    const surplus = findSurplus(folder, files);
    if (surplus !== null) return surplus;
    const buffer = new Uint8Array(Math.max(0, ...files.map((file) => file.sizeBytes)));
    for (const file of files) {
      const damage = damageOf(join(folder, file.path), file, buffer);
      if (damage !== null) return `${file.path} ${damage}`;
    }
    return null;
  } catch (error) {
    return `a file cannot be read (${reasonOf(error)})`;
  }
}

/** SHA-256 as 64 lower-case hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** Something in the folder that is neither one of the files nor a folder of ours on the way to one. */
function findSurplus(folder: string, files: readonly BundledFile[]): string | null {
  const names = new Set(files.map((file) => file.path));
  const folders = new Set(files.flatMap((file) => foldersOf(file.path)));
  for (const path of [".", ...folders]) {
    const stranger = strangerOf(lstatSync(join(folder, path)), "folder");
    if (stranger !== null) return `${path} ${stranger}`;
    for (const entry of readdirSync(join(folder, path), { withFileTypes: true })) {
      const inner = pathOf(path, entry);
      if (!names.has(inner) && !folders.has(inner)) return `${inner} does not belong there`;
    }
  }
  return null;
}

const pathOf = (folder: string, { name }: Dirent): string =>
  folder === "." ? name : `${folder}/${name}`;

/** `a/b/c.so` lies in `a` and `a/b`. */
function foldersOf(path: string): string[] {
  const folder = dirname(path);
  return folder === "." ? [] : [...foldersOf(folder), folder];
}

function damageOf(path: string, file: BundledFile, buffer: Uint8Array<ArrayBuffer>): string | null {
  const descriptor = openSync(path, READ_PLAIN);
  try {
    const facts = fstatSync(descriptor);
    const stranger = strangerOf(facts, "file");
    if (stranger !== null) return stranger;
    const { sizeBytes } = file;
    if (facts.size !== sizeBytes) return `has ${facts.size} bytes instead of ${sizeBytes}`;
    for (let at = 0; at < sizeBytes;) {
      const count = readSync(descriptor, buffer, at, sizeBytes - at, at);
      if (count === 0) return "became shorter";
      at += count;
    }
    return sha256(buffer.subarray(0, sizeBytes)) === file.sha256 ? null : "has other contents";
  } finally {
    closeSync(descriptor);
  }
}
