import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { sep } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { isStarvation } from "../lib/system-code.ts";
import { codeOf } from "./failure-words.ts";
import { type FileStamp, isModelName, isStampOf, stampOf } from "./file-stamp.ts";
import { type Entry, FolderListings } from "./folder-listings.ts";
import { FolderWatch, type ListedFolder } from "./folder-watch.ts";
import { isLocalDisk, statterOf, turn, type StatFile } from "./disk-look.ts";
import type { BrokenModel } from "./model.ts";

/** publisher/repo/quantisation/file, and one more. */
const MAX_DEPTH = 5;
const MAX_FOLDERS = 50_000;
const MAX_FILES = 50_000;
/** Looks at once, about two milliseconds. */
const LOOKS_PER_TURN = 1_000;

export interface FolderWalk {
  /** Everything that is called `*.gguf`, sorted by path. */
  files: FileStamp[];
  /** Paths of files called `*.jinja`. */
  templates: string[];
  broken: BrokenModel[];
}

interface Folder {
  path: string;
  relative: string;
}

/** One walk on its way. */
interface Visit {
  look: StatFile;
  listings: FolderListings;
  /** Folders by device and inode: each is entered once. */
  seen: Set<string>;
  found: FolderWalk;
  /** Files of the last walk, by path. */
  known: ReadonlyMap<string, FileStamp>;
  /** Files that were there the last time, in unchanged folders, are taken as they were. */
  isQuick: boolean;
  /** Every file is one of the last walk, unchanged. */
  isSame: boolean;
  folders: ListedFolder[];
  /** No link leads elsewhere, and no folder may have changed again since it was listed. */
  isTold: boolean;
  /** The system had no descriptors left: what was not seen may be there all the same. */
  isStarved: boolean;
}

interface LastWalk {
  found: FolderWalk;
  stamps: ReadonlyMap<string, FileStamp>;
  /** null when the folders do not tell everything, or are not on a local disk: then all is walked again. */
  folders: FolderWatch | null;
}

/**
 * Lists the model files below folders, and remembers what unchanged folders hold. Follows links,
 * each folder once, so loops end. Projector files (`mmproj`) and hidden folders are passed over; a
 * folder that cannot be read is reported. Where nothing changed the last walk itself is returned.
 */
export class FolderWalker {
  readonly #clock: Clock;
  /** By root. */
  readonly #listings = new Map<string, FolderListings>();
  /** By root. */
  readonly #last = new Map<string, LastWalk>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param isQuick looks at folders only: a file that was written over in its place is not noticed. */
  async walk(root: string, isQuick = false): Promise<FolderWalk> {
    const last = this.#last.get(root);
    const known = last?.stamps ?? new Map<string, FileStamp>();
    const found: FolderWalk = { files: [], templates: [], broken: [] };
    if (isQuick && last?.folders?.isUnchanged() === true) return last.found;
    const isLocal = await isLocalDisk(root);
    const look = statterOf(isLocal);
    const listings = this.#listings.get(root) ?? new FolderListings(this.#clock);
    this.#listings.set(root, listings);
    const visit: Visit = {
      look,
      listings,
      seen: new Set(),
      found,
      known,
      isQuick,
      isSame: true,
      folders: [],
      isTold: true,
      isStarved: false,
    };
    let level: Folder[] = [{ path: root, relative: "" }];
    for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth += 1) {
      const inside = await this.#enterAll(level, visit);
      const isTooMuch = visit.seen.size > MAX_FOLDERS || found.files.length > MAX_FILES;
      level = isTooMuch ? [] : inside;
    }
    if (visit.isStarved && last !== undefined) return last.found;
    listings.keepOnly(new Set(visit.folders.map(({ path }) => path)));
    const isWhole =
      isLocal && visit.isTold && found.broken.length === 0 && visit.folders.length > 0;
    const folders = isWhole ? new FolderWatch(visit.folders) : null;
    if (last !== undefined && visit.isSame && isLike(found, last.found)) {
      this.#last.set(root, { ...last, folders });
      return last.found;
    }
    found.files.sort((a, b) => (a.path < b.path ? -1 : 1));
    const stamps = new Map(found.files.map((stamp) => [stamp.path, stamp]));
    this.#last.set(root, { found, stamps, folders });
    return found;
  }

  /** @returns the folders inside. */
  async #enterAll(level: readonly Folder[], visit: Visit): Promise<Folder[]> {
    const inside: Folder[] = [];
    const slow: Promise<void>[] = [];
    for (const [index, folder] of level.entries()) {
      const entering = this.#enter(folder, visit, inside);
      if (entering !== undefined) slow.push(entering);
      if (index % LOOKS_PER_TURN === LOOKS_PER_TURN - 1) await turn();
    }
    await Promise.all(slow);
    return inside;
  }

  /** At once where looks are and the folder is unchanged; else when all of it was looked at. */
  #enter(folder: Folder, visit: Visit, inside: Folder[]): Promise<void> | undefined {
    const fail = (error: unknown): void => {
      const isAbsentRoot = folder.relative === "" && codeOf(error) === "ENOENT";
      visit.isStarved ||= isStarvation(error);
      const reason = `the folder cannot be read (${codeOf(error)})`;
      if (!isAbsentRoot) visit.found.broken.push({ path: folder.path, reason });
    };
    try {
      const facts = visit.look(folder.path);
      const known = facts instanceof Promise ? null : visit.listings.remembered(folder.path, facts);
      if (known === null) return this.#read(folder, facts, visit, inside).catch(fail);
      if (isNew(known.facts, visit))
        return this.#take(folder, known.facts, known.entries, visit, inside);
    } catch (error) {
      fail(error);
    }
    return undefined;
  }

  async #read(
    folder: Folder,
    looking: Stats | Promise<Stats>,
    visit: Visit,
    inside: Folder[],
  ): Promise<void> {
    const facts = await looking;
    if (!isNew(facts, visit)) return;
    const entries =
      visit.listings.remembered(folder.path, facts)?.entries ??
      (await visit.listings.list(folder.path, facts));
    await this.#take(folder, facts, entries, visit, inside);
  }

  /** Stamps the files of a folder, follows its links and notes its folders. */
  #take(
    folder: Folder,
    facts: Stats,
    entries: readonly Entry[],
    visit: Visit,
    inside: Folder[],
  ): Promise<void> | undefined {
    const slow: Promise<void>[] = [];
    visit.folders.push({
      path: folder.path,
      modifiedMs: facts.mtimeMs,
      inode: facts.ino,
      isInner: entries.some(({ kind }) => kind === "folder"),
    });
    const hasLinks = entries.some(({ kind }) => kind === "link");
    visit.isTold &&= !hasLinks && visit.listings.remembered(folder.path, facts) !== null;
    for (const { name, kind } of entries) {
      const path = `${folder.path}${sep}${name}`;
      const relative = folder.relative === "" ? name : `${folder.relative}/${name}`;
      if (kind === "folder") inside.push({ path, relative });
      else if (kind === "template") visit.found.templates.push(path);
      else if (kind === "link") slow.push(this.#follow(path, relative, visit, inside));
      else {
        const stamping = stampFile(path, relative, visit.look, visit);
        if (stamping !== undefined) slow.push(stamping);
      }
    }
    return slow.length === 0 ? undefined : Promise.all(slow).then(() => undefined);
  }

  /** A link may lead to another disk, where a look may hang. */
  async #follow(path: string, relative: string, visit: Visit, inside: Folder[]): Promise<void> {
    const { found } = visit;
    try {
      if ((await stat(path)).isDirectory()) {
        inside.push({ path, relative });
        return;
      }
    } catch (error) {
      const reason = `the link leads nowhere (${codeOf(error)})`;
      if (isModelName(path)) found.broken.push({ path, reason });
      return;
    }
    if (isModelName(path)) await stampFile(path, relative, stat, visit);
    else if (path.endsWith(".jinja")) found.templates.push(path);
  }
}

/** At once where looks are; else when the look has ended. */
function stampFile(
  path: string,
  relative: string,
  look: StatFile,
  visit: Visit,
): Promise<void> | undefined {
  const { files, broken } = visit.found;
  const known = visit.known.get(path);
  const add = (facts: Stats): void => {
    if (!facts.isFile()) {
      broken.push({ path, reason: "it is not a regular file" });
    } else if (known !== undefined && isStampOf(known, facts)) {
      files.push(known);
    } else {
      visit.isSame = false;
      files.push(stampOf(path, relative, facts));
    }
  };
  const fail = (error: unknown): void =>
    void broken.push({ path, reason: `the file cannot be read (${codeOf(error)})` });
  try {
    if (visit.isQuick && known !== undefined) return void files.push(known);
    const facts = look(path);
    if (facts instanceof Promise) return facts.then(add, fail);
    add(facts);
  } catch (error) {
    fail(error);
  }
  return undefined;
}

/** Whether this walk enters the folder for the first time. */
function isNew({ dev, ino }: Stats, { seen }: Visit): boolean {
  const count = seen.size;
  return seen.add(`${dev}:${ino}`).size > count;
}

/** Of two walks with equal files. */
function isLike(one: FolderWalk, other: FolderWalk): boolean {
  return (
    one.files.length === other.files.length &&
    Bun.deepEquals([one.templates, one.broken], [other.templates, other.broken])
  );
}
