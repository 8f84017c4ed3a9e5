import type { ModelKind } from "../catalog/model.ts";
import type { ListedModel } from "./listed-model.ts";
import { modelJson, sizeText } from "./model-json.ts";
import { textTable } from "./text-table.ts";

/** One model with its quantisations on disk. */
export interface ModelGroup {
  kind: ModelKind;
  /** The one that answers to the plain name. */
  selected: ListedModel;
  variants: readonly [ListedModel, ...ListedModel[]];
}

/** Models that differ only in their quantisation, in the order of the list. */
export function groupVariants(models: readonly ListedModel[]): ModelGroup[] {
  const groups = Map.groupBy(models, (model) => model.variant.split("@")[0]);
  return [...groups.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    const variants: ModelGroup["variants"] = [first, ...others];
    const selected = variants.find((model) => !model.key.includes("@")) ?? first;
    return [{ kind: first.kind, selected, variants }];
  });
}

/** The keys are those of LM Studio's `lms ls --json`, with `--variants` a list of pairs. */
export function groupJson({ selected, variants }: ModelGroup, isExpanded: boolean): unknown {
  const model = modelJson(selected, variants);
  if (!isExpanded) return model;
  return { model, variants: variants.map((variant) => modelJson(variant, [])) };
}

/** The models that pass a filter, among all there are. */
export function listing(
  all: readonly ModelGroup[],
  groups: readonly ModelGroup[],
  isExpanded: boolean,
): string[] {
  if (all.length === 0) return ["You have not downloaded any models yet."];
  if (groups.length === 0)
    return [`You have ${countText(all.length)}, but none of them match the filter.`];
  const bytes = all
    .flatMap(({ variants }) => variants)
    .reduce((sum, model) => sum + model.sizeBytes, 0);
  const lines = [`You have ${countText(all.length)}, taking up ${sizeText(bytes)} of disk space.`];
  for (const kind of ["llm", "embedding"] as const) {
    const rows = groups
      .filter((group) => group.kind === kind)
      .flatMap((group) => groupRows(group, isExpanded));
    if (rows.length > 0) lines.push("", ...textTable([head(kind), ...rows]));
  }
  return lines;
}

/** The quantisations of one model. */
export function variantListing(name: string, variants: readonly ListedModel[]): string[] {
  const rows = variants.map((model) => cells(model, model.variant));
  return [`Listing variants for ${name}:`, "", ...textTable([head(variants[0]?.kind), ...rows])];
}

export const countText = (models: number): string =>
  models === 1 ? "1 model" : `${models} models`;

const head = (kind: ModelKind = "llm"): string[] => [
  kind === "llm" ? "LLM" : "EMBEDDING",
  "PARAMS",
  "ARCH",
  "QUANT",
  "SIZE",
  "FROM",
];

function groupRows({ selected, variants }: ModelGroup, isExpanded: boolean): string[][] {
  const suffix = variants.length > 1 ? ` (${variants.length} variants)` : "";
  const row = cells(selected, selected.key + suffix);
  if (!isExpanded) return [row];
  const details = variants.map((model) =>
    cells(model, `${model === selected ? " * " : "   "}${model.variant}`),
  );
  return [row, ...details];
}

const cells = (model: ListedModel, name: string): string[] => [
  name,
  model.parameters ?? "",
  model.architecture ?? "",
  model.quantization ?? "",
  sizeText(model.sizeBytes),
  model.source,
  model.loadedCount === 0
    ? ""
    : `✓ LOADED${model.loadedCount > 1 ? ` (${model.loadedCount})` : ""}`,
];
