import type { CatalogModel, ModelKind } from "../catalog/model.ts";
import type { ServerModel } from "./server-models.ts";

/** One model as `ls` shows it, found on this machine or told by a server. */
export interface ListedModel {
  kind: ModelKind;
  key: string;
  /** `key@quant`. */
  variant: string;
  displayName: string;
  publisher: string;
  /** null = it lies where only a server knows. */
  path: string | null;
  sizeBytes: number;
  architecture: string | null;
  /** For example "7B". */
  parameters: string | null;
  quantization: string | null;
  maxContextLength: number;
  knowsTools: boolean;
  /** Where the file was found; "server" when only a server knows. */
  source: CatalogModel["source"] | "server";
  /** Instances in a server's memory. */
  loadedCount: number;
}

export function fromCatalog(model: CatalogModel): ListedModel {
  const knowsTools = /\btools\b/.test(model.chatTemplate ?? "");
  return { ...model, knowsTools, loadedCount: 0 };
}

/** @param local The models on this machine, when the server may be listing the same files. */
export function fromServer(model: ServerModel, local: readonly CatalogModel[]): ListedModel {
  const { key, size_bytes: sizeBytes } = model;
  const same = local.find((other) => other.key === key && other.sizeBytes === sizeBytes);
  return {
    kind: model.type,
    key,
    variant: model.selected_variant ?? same?.variant ?? key,
    displayName: model.display_name,
    publisher: model.publisher,
    path: same?.path ?? null,
    sizeBytes,
    architecture: model.architecture ?? same?.architecture ?? null,
    parameters: model.params_string ?? null,
    quantization: model.quantization?.name ?? null,
    maxContextLength: model.max_context_length,
    knowsTools: model.capabilities?.trained_for_tool_use ?? false,
    source: same?.source ?? "server",
    loadedCount: model.loaded_instances.length,
  };
}
