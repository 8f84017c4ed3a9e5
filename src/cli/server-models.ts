import { Type, type Static } from "typebox";
import { EXIT, ExitError } from "./command.ts";
import type { Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";

/** The part of one entry of `GET /api/v1/models` used here. */
const ServerModel = Type.Object({
  type: Type.Union([Type.Literal("llm"), Type.Literal("embedding")]),
  key: Type.String(),
  size_bytes: Type.Number(),
  loaded_instances: Type.Array(Type.Object({ id: Type.String() })),
  variants: Type.Optional(Type.Array(Type.String())),
});
export type ServerModel = Static<typeof ServerModel>;
const ServerModels = Type.Object({ models: Type.Array(ServerModel) });

/** Every model that the server has on disk. */
export async function listServerModels(target: Target): Promise<readonly ServerModel[]> {
  const { models } = await askServer(target, { path: "/api/v1/models", schema: ServerModels });
  return models;
}

/** A thing that has names, by which people mean it. */
export interface Named {
  key: string;
  variants?: readonly string[] | undefined;
}

/**
 * The one that `name` means: its exact name, else the only one whose name contains it; case does
 * not matter.
 * @throws ExitError failed when there is none, usage when there are several, naming them.
 */
export function matchModel<M extends Named>(
  models: readonly M[],
  name: string,
): M & { name: string } {
  const folded = name.toLowerCase();
  const names = models.flatMap((model) =>
    [model.key, ...(model.variants ?? [])].map((text) => ({ model, text })),
  );
  const exact = names.find(({ text }) => text.toLowerCase() === folded);
  if (exact !== undefined) return { ...exact.model, name: exact.text };
  const partial = names.filter(({ text }) => text.toLowerCase().includes(folded));
  const found = new Set(partial.map(({ model }) => model));
  const [only] = partial;
  const shown = JSON.stringify(name.slice(0, 200));
  if (only === undefined)
    throw new ExitError(EXIT.failed, `Model not found: ${shown}. See: lmserver ls`, {
      code: "model_not_found",
    });
  if (found.size === 1) return { ...only.model, name: only.text };
  const candidates = [...found].map(({ key }) => `  ${key}`).join("\n");
  throw new ExitError(EXIT.usage, `${shown} may mean several models:\n${candidates}`, {
    code: "ambiguous_model",
  });
}
