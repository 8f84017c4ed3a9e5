import { UnreadableFile } from "./file-bytes.ts";
import type { GgufHeader } from "./gguf-scan.ts";
import type { CatalogAdapter } from "./model.ts";
import { cleanId, displayNameOf, modelName, printable, stemOf } from "./model-names.ts";

/** An adapter before its key is known. */
export type AdapterDraft = Omit<CatalogAdapter, "key"> & {
  name: string;
  /** Path below its models folder, with `/` between the parts. */
  relativePath: string;
};

/** Whether a file changes a model rather than being one. */
export function isAdapter({ metadata }: GgufHeader): boolean {
  return metadata.text("general.type") === "adapter";
}

/** @throws UnreadableFile when it is an adapter of another kind. */
export function describeAdapter(
  file: Pick<AdapterDraft, "path" | "relativePath" | "modifiedMs" | "source">,
  { metadata, sizeBytes }: GgufHeader,
): AdapterDraft {
  const kind = metadata.text("adapter.type");
  if (kind !== "lora")
    throw new UnreadableFile(`it is an adapter of type "${printable(kind ?? "")}", not LoRA`);
  const { path, relativePath, modifiedMs, source } = file;
  const folders = relativePath.split("/").slice(0, -1);
  const stem = stemOf(relativePath.slice(relativePath.lastIndexOf("/") + 1));
  const name = modelName(stem, folders.at(-1) ?? null);
  const title = metadata.text("general.name");
  return {
    path,
    relativePath,
    modifiedMs,
    source,
    name,
    sizeBytes,
    displayName: (title === null ? "" : printable(title)) || displayNameOf(name),
    architecture: printable(metadata.text("general.architecture") ?? ""),
  };
}

/** Gives each adapter its key: its name, or its path when another one has that name. */
export function keyAdapters(drafts: readonly AdapterDraft[]): CatalogAdapter[] {
  const byPath = drafts.toSorted((a, b) => (a.relativePath < b.relativePath ? -1 : 1));
  const counts = Map.groupBy(byPath, (draft) => draft.name);
  const taken = new Set<string>();
  return byPath.flatMap(({ name, relativePath, ...facts }) => {
    const isAlone = counts.get(name)?.length === 1;
    const path = relativePath.replace(/\.gguf$/i, "").split("/");
    const key = isAlone ? name : path.map(cleanId).join("/");
    if (taken.has(key)) return [];
    taken.add(key);
    return [{ key, ...facts }];
  });
}

/** The adapter of this key, whatever its case; null when there is none. */
export function findAdapter(
  adapters: readonly CatalogAdapter[],
  key: string,
): CatalogAdapter | null {
  const folded = key.toLowerCase();
  return adapters.find((adapter) => adapter.key === folded) ?? null;
}
