import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import { keyAdapters } from "./adapters.ts";
import { describeFiles } from "./describe-files.ts";
import type { ModelDraft } from "./describe-model.ts";
import { FileCache, type ScannedFile } from "./file-cache.ts";
import { danglingAliases, findExactly, findModel, type ModelAlias } from "./find-model.ts";
import { stampOf, type FileStamp } from "./file-stamp.ts";
import { jinjaOfGo } from "./go-template/jinja-of-go.ts";
import { assignKeys, type KeyedModels } from "./model-keys.ts";
import { Duplicates } from "./duplicates.ts";
import type { BrokenModel, Catalog, CatalogAdapter, CatalogModel } from "./model.ts";
import { readSidecars } from "./sidecar-template.ts";
import type { StoreWalk } from "./stores/store-file.ts";
import { StoreReader, type LookDepth, type StorePlace } from "./stores/store-reader.ts";
import { stat } from "node:fs/promises";

/** A list younger than this is given out without a look at the folders. */
const FRESH_MS = 1_000;

export type CatalogFolder = StorePlace;

export interface CatalogOptions {
  folders: readonly CatalogFolder[];
  /** The built-in model's file; null = none, or hidden. */
  demoPath: string | null;
  /** Replaces the template of every language model; null = each has its own, or one beside it. */
  chatTemplate: string | null;
  /** Replaces the template of the model with this key, stronger than all others; null = does not. */
  templateOf?: (key: string) => string | null;
  /** Asked at each look-up, so that a reload of the configuration takes effect. */
  aliases: () => readonly ModelAlias[];
  clock: Clock;
  log: Log;
}

/**
 * Models in folders on disk. They are looked at again when someone asks, at most once a second: the
 * folders alone for a list, every file for a name that is not known.
 */
export class ModelCatalog implements Catalog {
  readonly #options: CatalogOptions;
  readonly #stores: StoreReader;
  readonly #files = new FileCache();
  readonly #duplicates = new Duplicates();
  #scanned: readonly ScannedFile[] = [];
  #walks: readonly StoreWalk[] = [];
  #demo: FileStamp | null = null;
  #sidecars: ReadonlyMap<string, string> = new Map();
  #keyed: KeyedModels = { models: [], byName: new Map(), relativePaths: new Map(), broken: [] };
  #adapters: readonly CatalogAdapter[] = [];
  #unusable: readonly BrokenModel[] = [];
  #broken: readonly BrokenModel[] = [];
  readonly #checkedMs: Record<LookDepth, number> = { folders: -Infinity, files: -Infinity };
  #refreshing: { depth: LookDepth; done: Promise<void> } | null = null;
  /** What is wrong right now and was said. */
  #reported: ReadonlySet<string> = new Set();

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#stores = new StoreReader(options.clock);
  }

  async list(): Promise<readonly CatalogModel[]> {
    await this.#refreshIfStale("folders");
    return this.#keyed.models;
  }

  async broken(): Promise<readonly BrokenModel[]> {
    await this.#refreshIfStale("files");
    return this.#broken;
  }

  async adapters(): Promise<readonly CatalogAdapter[]> {
    await this.#refreshIfStale("folders");
    return this.#adapters;
  }

  async find(name: string, how?: "exactly"): Promise<CatalogModel | null> {
    const find = () =>
      how === "exactly"
        ? findExactly(this.#keyed, name)
        : findModel(this.#keyed, this.#options.aliases(), name);
    const known = find();
    // A file that is still there needs no look at all the others.
    if (known !== null && (await isUnchanged(known))) return known;
    await this.#refreshIfStale("files");
    return find();
  }

  /** Looks at every folder now. Concurrent calls share one look. */
  async rescan(): Promise<void> {
    await this.#refreshing?.done;
    this.#stores.forget();
    await this.#refresh("files");
  }

  async #refreshIfStale(depth: LookDepth): Promise<void> {
    const checkedMs = this.#checkedMs[depth];
    if (this.#options.clock.monotonicMs() - checkedMs >= FRESH_MS) await this.#refresh(depth);
  }

  /** Joins a look that is under way, if that looks as closely. */
  async #refresh(depth: LookDepth): Promise<void> {
    const running = this.#refreshing;
    if (running !== null && depth === "files" && running.depth === "folders") {
      await running.done;
      return this.#refresh(depth);
    }
    this.#refreshing ??= {
      depth,
      done: this.#scan(depth).finally(() => (this.#refreshing = null)),
    };
    await this.#refreshing.done;
  }

  async #scan(depth: LookDepth): Promise<void> {
    const { folders, demoPath, clock } = this.#options;
    const walks = await Promise.all(folders.map((folder) => this.#stores.walk(folder, depth)));
    const demo = demoPath === null ? null : await this.#stampDemo(demoPath);
    const nowMs = clock.monotonicMs();
    this.#checkedMs.folders = nowMs;
    if (depth === "files") this.#checkedMs.files = nowMs;
    const isKnown =
      walks.every((walk, index) => walk === this.#walks[index]) && demo === this.#demo;
    // Templates beside models may change without their folder.
    if (isKnown && this.#files.isSettled && walks.every(({ templates }) => templates.length === 0))
      return;
    this.#walks = walks;
    this.#demo = demo;
    const stamps = walks.flatMap((walk) => walk.files);
    const scanned = await this.#files.scanAll(demo === null ? stamps : [...stamps, demo]);
    const templates = walks.flatMap((walk) => walk.templates);
    const sidecars = await readSidecars(
      stamps.map(({ path }) => path),
      templates,
    );
    const isSame =
      scanned.length === this.#scanned.length &&
      scanned.every((file, index) => file === this.#scanned[index]) &&
      sidecars.size === this.#sidecars.size &&
      [...sidecars].every(([path, text]) => this.#sidecars.get(path) === text);
    if (!isSame) {
      this.#sidecars = sidecars;
      this.#scanned = scanned;
      await this.#describe(scanned, sourcesOf(folders, walks, demo), walks);
    }
    this.#broken = [
      ...walks.flatMap((walk) => walk.broken),
      ...this.#unusable,
      ...this.#keyed.broken,
    ].sort((a, b) => (a.path < b.path ? -1 : 1));
    this.#report();
  }

  async #describe(
    scanned: readonly ScannedFile[],
    sources: ReadonlyMap<string, CatalogModel["source"]>,
    walks: readonly StoreWalk[],
  ): Promise<void> {
    const { chatTemplate } = this.#options;
    const unique = [...new Map(scanned.map((file) => [file.stamp.path, file])).values()];
    const described = describeFiles(unique, sources);
    const drafts = described.drafts.map((draft) => {
      const defaults = walks.map((walk) => walk.defaults.get(draft.path)).find(Boolean);
      const given = chatTemplate ?? this.#sidecars.get(draft.path) ?? draft.chatTemplate;
      const template = given ?? jinjaOfGo(defaults?.goTemplate ?? "");
      const own = defaults === undefined ? draft : { ...draft, defaults };
      return draft.kind === "llm" ? { ...own, chatTemplate: template } : own;
    });
    const inodes = new Map(unique.map(({ stamp }) => [stamp.path, stamp.inode]));
    const merged = await this.#duplicates.merge(drafts, inodes);
    this.#unusable = described.broken;
    this.#adapters = keyAdapters(described.adapters);
    this.#keyed = assignKeys(this.#withOwnTemplates(merged));
  }

  /** The same object as long as the file is. */
  async #stampDemo(path: string): Promise<FileStamp | null> {
    const facts = await stat(path).catch(() => null);
    const stamp = facts === null ? null : stampOf(path, "demo.gguf", facts);
    const isSame =
      stamp?.modifiedMs === this.#demo?.modifiedMs && stamp?.inode === this.#demo?.inode;
    return isSame ? this.#demo : stamp;
  }

  /** The templates that are given for keys, which the models have only once all are known. */
  #withOwnTemplates(drafts: ModelDraft[]): ModelDraft[] {
    const { templateOf } = this.#options;
    if (templateOf === undefined) return drafts;
    const given = new Map(
      assignKeys(drafts).models.map(({ path, key }) => [path, templateOf(key)]),
    );
    return drafts.map((draft) => {
      const template = draft.kind === "llm" ? (given.get(draft.path) ?? null) : null;
      return template === null ? draft : { ...draft, chatTemplate: template };
    });
  }

  /** Names each unusable file and each alias that means no model once, and anew when it was mended. */
  #report(): void {
    const { aliases, log } = this.#options;
    const troubles = new Map<string, () => void>();
    const add = (message: string, facts: Record<string, string>): void => {
      const line = [message, ...Object.values(facts)].join("\0");
      troubles.set(line, () => log.warn(message, facts));
    };
    for (const { path, reason } of this.#broken)
      add("a model file cannot be used", { path, reason });
    for (const { name, target } of danglingAliases(this.#keyed, aliases()))
      add("an alias means a model that is not installed", { alias: name, target });
    for (const [line, warn] of troubles) if (!this.#reported.has(line)) warn();
    this.#reported = new Set(troubles.keys());
  }
}

/** Where each file belongs; the first folder wins when two settings name the same files. */
function sourcesOf(
  folders: readonly CatalogFolder[],
  walks: readonly StoreWalk[],
  demo: FileStamp | null,
): ReadonlyMap<string, CatalogModel["source"]> {
  const sources = new Map<string, CatalogModel["source"]>();
  for (const [index, folder] of folders.entries()) {
    for (const file of walks[index]?.files ?? []) {
      if (!sources.has(file.path)) sources.set(file.path, folder.source);
    }
  }
  if (demo !== null) sources.set(demo.path, "demo");
  return sources;
}

async function isUnchanged(model: CatalogModel): Promise<boolean> {
  const facts = await stat(model.path).catch(() => null);
  return facts !== null && facts.mtimeMs === model.modifiedMs;
}
