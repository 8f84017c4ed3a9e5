import { describeAdapter, isAdapter, type AdapterDraft } from "./adapters.ts";
import { describeModel, isProjector, type ModelDraft } from "./describe-model.ts";
import { codeOf } from "./failure-words.ts";
import { UnreadableFile } from "./file-bytes.ts";
import type { ScannedFile } from "./file-cache.ts";
import type { GgufHeader } from "./gguf-scan.ts";
import { shardOf, stemOf } from "./model-names.ts";
import type { BrokenModel, CatalogModel } from "./model.ts";

/** What each file is, shards of one model together. A file that cannot be used is told with why. */
export function describeFiles(
  files: readonly ScannedFile[],
  sources: ReadonlyMap<string, CatalogModel["source"]>,
): { drafts: ModelDraft[]; adapters: AdapterDraft[]; broken: BrokenModel[] } {
  const drafts: ModelDraft[] = [];
  const adapters: AdapterDraft[] = [];
  const broken: BrokenModel[] = [];
  for (const group of Map.groupBy(files, modelOf).values()) {
    try {
      const adapter = adapterOf(group, sources);
      const draft = adapter === null ? describeGroup(group, sources) : null;
      if (adapter !== null) adapters.push(adapter);
      if (draft !== null) drafts.push(draft);
    } catch (error) {
      const reason = error instanceof UnreadableFile ? error.message : codeOf(error);
      broken.push({ path: group[0]?.stamp.path ?? "", reason });
    }
  }
  return { drafts, adapters, broken };
}

/** Shards of one model share this; every other file is its own model. */
function modelOf(file: ScannedFile): string {
  const { path } = file.stamp;
  const shard = shardOf(stemOf(path));
  return shard === null ? path : `${shard.stem}\0${shard.count}`;
}

/** The adapter that a file is; null = it is something else. */
function adapterOf(
  group: readonly ScannedFile[],
  sources: ReadonlyMap<string, CatalogModel["source"]>,
): AdapterDraft | null {
  const [file] = group;
  if (file?.header == null || !isAdapter(file.header)) return null;
  const source = sources.get(file.stamp.path) ?? "models-dir";
  return describeAdapter({ ...file.stamp, source }, file.header);
}

function describeGroup(
  group: readonly ScannedFile[],
  sources: ReadonlyMap<string, CatalogModel["source"]>,
): ModelDraft | null {
  const files = group.toSorted((a, b) => (a.stamp.path < b.stamp.path ? -1 : 1));
  const [first] = files;
  if (first === undefined) return null;
  const headers = files.map((file) => headerOf(file, files.length > 1));
  const [firstHeader, ...otherHeaders] = headers;
  if (firstHeader === undefined || isProjector(firstHeader)) return null;
  checkShards(files, firstHeader);
  const { path, relativePath, modifiedMs } = first.stamp;
  const source = sources.get(path) ?? "models-dir";
  const paths = files.map((file) => file.stamp.path);
  return describeModel({ path, relativePath, files: paths, modifiedMs, source }, [
    firstHeader,
    ...otherHeaders,
  ]);
}

function headerOf(file: ScannedFile, isShard: boolean): GgufHeader {
  if (file.header !== null) return file.header;
  const where = isShard ? `shard ${shardOf(stemOf(file.stamp.path))?.index ?? 0}: ` : "";
  throw new UnreadableFile(where + file.reason);
}

/** All shards are there, by name and by what the first one says. */
function checkShards(files: readonly ScannedFile[], first: GgufHeader): void {
  const named = files.map((file) => shardOf(stemOf(file.stamp.path)));
  const count = named[0]?.count ?? first.metadata.number("split.count") ?? 1;
  const present = new Set(named.map((shard) => shard?.index ?? 1));
  const missing = Array.from({ length: Math.min(count, 99_999) }, (_, index) => index + 1).filter(
    (index) => !present.has(index),
  );
  if (missing.length > 0) {
    const shown = missing.slice(0, 5).join(", ") + (missing.length > 5 ? ", ..." : "");
    throw new UnreadableFile(`of its ${count} shards, ${missing.length} are missing (${shown})`);
  }
}
