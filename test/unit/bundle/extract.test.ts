import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountOptions, openCacheFolder } from "../../../src/bundle/cache-folder.ts";
import { extractFiles, sweepTemporary } from "../../../src/bundle/extract.ts";
import type { BundledFile } from "../../../src/bundle/manifest.ts";
import { findDamage, sha256 } from "../../../src/bundle/verify.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lmserver-extract-"));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const contents = new Map([
  ["lib/one.so", new TextEncoder().encode("one")],
  ["lib/two.so", new Uint8Array(100_000).fill(7)],
]);
const files: BundledFile[] = [...contents].map(([path, bytes]) => ({
  path,
  sha256: sha256(bytes),
  sizeBytes: bytes.length,
}));
const read = (file: BundledFile): Uint8Array => contents.get(file.path)!;

test("the carried files are written once and only read afterwards", () => {
  const folder = join(root, "engine");
  let reads = 0;
  const counting = (file: BundledFile): Uint8Array => {
    reads += 1;
    return read(file);
  };
  extractFiles(folder, files, counting);
  extractFiles(folder, files, counting);
  expect(reads).toBe(2);
  expect(readFileSync(join(folder, "lib/one.so"), "utf8")).toBe("one");
  expect(statSync(join(folder, "lib/one.so")).mode & 0o777).toBe(0o500);
  expect(readdirSync(root)).toEqual(["engine"]);
});

type Spoil = (folder: string) => void;
const layouts: [name: string, spoil: Spoil][] = [
  ["a flipped byte", (folder: string) => damage(join(folder, "lib/two.so"), 0, 8)],
  ["a cut file", (folder: string) => damage(join(folder, "lib/two.so"), 99_999, null)],
  ["a missing file", (folder: string) => rmSync(join(folder, "lib/one.so"))],
  [
    "a link in place of a file",
    (folder: string) => {
      rmSync(join(folder, "lib/one.so"));
      symlinkSync("/etc/hostname", join(folder, "lib/one.so"));
    },
  ],
  [
    "a flipped byte behind the back of size and modification time",
    (folder) => {
      const path = join(folder, "lib/two.so");
      const { atime, mtime } = statSync(path);
      damage(path, 0, 8);
      utimesSync(path, atime, mtime);
    },
  ],
  ["a backend too many", (folder) => writeFileSync(join(folder, "lib/libggml-cpu-x.so"), "")],
  ["a file that others may write to", (folder) => chmodSync(join(folder, "lib/one.so"), 0o722)],
  ["an inner folder that others may write to", (folder) => chmodSync(join(folder, "lib"), 0o777)],
  [
    "a link in place of an inner folder, to the same files",
    (folder) => {
      renameSync(join(folder, "lib"), join(root, "moved"));
      symlinkSync(join(root, "moved"), join(folder, "lib"));
    },
  ],
];

test.each(layouts)("a folder with %s is replaced", (_name, spoil) => {
  const folder = join(root, "engine");
  extractFiles(folder, files, read);
  expect(findDamage(folder, files)).toBeNull();
  spoil(folder);
  expect(findDamage(folder, files)).not.toBeNull();
  extractFiles(folder, files, read);
  expect(readFileSync(join(folder, "lib/two.so"))).toEqual(
    Buffer.from(contents.get("lib/two.so")!),
  );
  expect(readFileSync(join(folder, "lib/one.so"), "utf8")).toBe("one");
  expect(findDamage(folder, files)).toBeNull();
  expect(readdirSync(root).filter((name) => name !== "moved")).toEqual(["engine"]);
});

test("files that stay damaged are an error that says which and names the flag", () => {
  const wrong = files.map((file) => ({ ...file, sha256: "0".repeat(64) }));
  expect(() => extractFiles(join(root, "engine"), wrong, read)).toThrow(
    /lib\/one\.so has other contents.*--cache-dir/,
  );
});

function damage(path: string, offset: number, byte: number | null): void {
  chmodSync(path, 0o700);
  const bytes = readFileSync(path);
  if (byte !== null) bytes[offset] = byte;
  writeFileSync(path, byte === null ? bytes.subarray(0, offset) : bytes);
}

test("leftovers of killed processes go, those of running ones stay", () => {
  for (const name of ["a.tmp", "b.old", "c.tmp", "engine-1"]) mkdirSync(join(root, name));
  const now = Date.now();
  utimesSync(join(root, "a.tmp"), new Date(now - 7200_000), new Date(now - 7200_000));
  utimesSync(join(root, "b.old"), new Date(now - 7200_000), new Date(now - 7200_000));
  utimesSync(join(root, "engine-1"), new Date(now - 7200_000), new Date(now - 7200_000));
  sweepTemporary(root, now, 3600_000);
  expect(readdirSync(root).toSorted()).toEqual(["c.tmp", "engine-1"]);
});

test("a cache folder is made private, and one that others may write to is refused", () => {
  const folder = join(root, "cache/lmserver");
  openCacheFolder(folder);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  chmodSync(folder, 0o777);
  expect(() => openCacheFolder(folder)).toThrow(/other users may write to it.*--cache-dir/);
});

test("a link in place of the cache folder is refused", () => {
  mkdirSync(join(root, "real"));
  symlinkSync(join(root, "real"), join(root, "link"));
  expect(() => openCacheFolder(join(root, "link"))).toThrow(/a link or a file/);
});

test("a cache folder that cannot be made names the flag", () => {
  writeFileSync(join(root, "file"), "");
  expect(() => openCacheFolder(join(root, "file/below"))).toThrow(/cannot be created.*--cache-dir/);
  expect(existsSync(join(root, "file/below"))).toBe(false);
});

test("the innermost mount decides whether programs may run", () => {
  const table = [
    "22 1 254:0 / / rw,relatime - ext4 /dev/root rw",
    "30 22 0:25 / /home rw,nosuid,noexec - tmpfs tmpfs rw",
    "31 30 0:26 / /home/a\\040b rw - tmpfs tmpfs rw",
  ].join("\n");
  expect(mountOptions(table, "/home/x").has("noexec")).toBe(true);
  expect(mountOptions(table, "/home/a b/c").has("noexec")).toBe(false);
  expect(mountOptions(table, "/homely").has("noexec")).toBe(false);
});
