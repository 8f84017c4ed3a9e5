import type { ModelDraft } from "./describe-model.ts";
import { pathId } from "./model-names.ts";
import type { BrokenModel, CatalogModel } from "./model.ts";

/** Which file of several quantisations answers to the plain name: the usual balance first. */
const PREFERRED = ["Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q5_K_S", "Q6_K", "Q8_0", "MXFP4"];

/** Every way to write the name of a listed model, exactly; built by `assignKeys`. */
export interface KeyedModels {
  /** Sorted by key, the demo last. */
  models: CatalogModel[];
  /** Keys, variants and `publisher/name` spellings. */
  byName: ReadonlyMap<string, CatalogModel>;
  /** Where each model lies below its models folder. */
  relativePaths: ReadonlyMap<CatalogModel, string>;
  broken: BrokenModel[];
}

/**
 * Gives each model its key. A name that only one publisher has stays short, otherwise every one of
 * them is `publisher/name`. Of several quantisations one carries the plain name, and each has
 * `name@quant`. What is left ambiguous (the same quantisation twice) is named by its path.
 */
export function assignKeys(found: readonly ModelDraft[]): KeyedModels {
  const drafts = found.filter((draft) => draft.source !== "demo");
  const publishers = new Map<string, Set<string>>();
  for (const draft of drafts) {
    const known = publishers.get(draft.name) ?? new Set();
    publishers.set(draft.name, known.add(idPublisher(draft)));
  }
  const groups = Map.groupBy(drafts, (draft) =>
    (publishers.get(draft.name)?.size ?? 0) > 1 ? fullName(draft) : draft.name,
  );
  const keyed: KeyedModels & {
    byName: Map<string, CatalogModel>;
    relativePaths: Map<CatalogModel, string>;
  } = { models: [], byName: new Map(), relativePaths: new Map(), broken: [] };
  for (const [name, group] of groups) nameGroup(name, group, keyed);
  // Last, so that a file in the user's own folders may take its name.
  for (const demo of found.filter((draft) => draft.source === "demo")) {
    const { name } = demo;
    nameGroup(keyed.byName.has(name) ? fullName(demo) : name, [demo], keyed);
  }
  keyed.models.sort(byKey);
  return keyed;
}

function nameGroup(
  name: string,
  group: readonly ModelDraft[],
  keyed: KeyedModels & {
    byName: Map<string, CatalogModel>;
    relativePaths: Map<CatalogModel, string>;
  },
): void {
  const ranked = group.toSorted((a, b) => rank(a) - rank(b) || a.sizeBytes - b.sizeBytes);
  for (const [index, draft] of ranked.entries()) {
    const quant = draft.quantization?.toLowerCase() ?? null;
    const variant = quant === null ? name : `${name}@${quant}`;
    const byPath = pathId(draft.relativePath);
    const free = [...(index === 0 ? [name] : []), variant, byPath].find(
      (key) => !keyed.byName.has(key),
    );
    if (free === undefined) {
      const other = keyed.byName.get(byPath)?.path ?? "another file";
      keyed.broken.push({ path: draft.path, reason: `${other} has the same name: rename one` });
      continue;
    }
    const { name: _name, relativePath, ...facts } = draft;
    const model = { key: free, variant: keyed.byName.has(variant) ? free : variant, ...facts };
    keyed.models.push(model);
    keyed.relativePaths.set(model, relativePath);
    const spellings = [free, model.variant];
    if (index === 0) spellings.push(fullName(draft));
    if (quant !== null) spellings.push(`${fullName(draft)}@${quant}`);
    for (const spelling of spellings) {
      if (!keyed.byName.has(spelling)) keyed.byName.set(spelling, model);
    }
  }
}

function rank(draft: ModelDraft): number {
  const place = PREFERRED.indexOf(draft.quantization ?? "");
  return place === -1 ? PREFERRED.length : place;
}

const idPublisher = (draft: ModelDraft): string =>
  draft.publisher.toLowerCase().replaceAll(/[^\p{L}\p{N}._-]/gu, "-");

const fullName = (draft: ModelDraft): string => `${idPublisher(draft)}/${draft.name}`;

function byKey(a: CatalogModel, b: CatalogModel): number {
  if ((a.source === "demo") !== (b.source === "demo")) return a.source === "demo" ? 1 : -1;
  return a.key < b.key ? -1 : 1;
}
