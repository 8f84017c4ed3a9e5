import { Type, type Static } from "typebox";
import type { CatalogAdapter } from "../catalog/model.ts";
import { sizeText } from "./model-json.ts";
import type { Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";
import { textTable } from "./text-table.ts";

/** One entry of `GET /api/lmserver/adapters`. */
const ServerAdapter = Type.Object({
  key: Type.String(),
  display_name: Type.String(),
  architecture: Type.String(),
  size_bytes: Type.Number(),
  source: Type.String(),
});
const ServerAdapters = Type.Object({ adapters: Type.Array(ServerAdapter) });

/** A LoRA adapter as `ls` shows it. */
export type ListedAdapter = Static<typeof ServerAdapter> & { path: string | null };

export function fromDisk(adapter: CatalogAdapter): ListedAdapter {
  const { key, displayName, architecture, sizeBytes, source, path } = adapter;
  return {
    key,
    display_name: displayName,
    architecture,
    size_bytes: sizeBytes,
    source,
    path,
  };
}

/** The LoRA adapters that a server has on disk. */
export async function listServerAdapters(target: Target): Promise<ListedAdapter[]> {
  const path = "/api/lmserver/adapters";
  const { adapters } = await askServer(target, { path, schema: ServerAdapters });
  return adapters.map((adapter) => ({ ...adapter, path: null }));
}

/** As `ls --json` prints it: the names of its models' keys. */
export function adapterJson(adapter: ListedAdapter): Record<string, unknown> {
  return {
    type: "lora",
    key: adapter.key,
    displayName: adapter.display_name,
    architecture: adapter.architecture,
    path: adapter.path,
    sizeBytes: adapter.size_bytes,
    source: adapter.source,
  };
}

/** A table of its own; nothing when there is none. */
export function adapterLines(adapters: readonly ListedAdapter[]): string[] {
  if (adapters.length === 0) return [];
  const rows = adapters.map(({ key, architecture, size_bytes: bytes, source }) => [
    key,
    architecture,
    sizeText(bytes),
    source,
  ]);
  return ["", ...textTable([["LORA ADAPTER", "ARCH", "SIZE", "FROM"], ...rows])];
}
