import { Type, type Static, type TSchema } from "typebox";
import { EXIT, ExitError } from "./command.ts";
import type { Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";

const optional = <S extends TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]));

/** The part of one entry of `GET /api/v1/models` used here. */
const ServerModel = Type.Object({
  type: Type.Union([Type.Literal("llm"), Type.Literal("embedding")]),
  key: Type.String(),
  display_name: Type.String(),
  publisher: Type.String(),
  size_bytes: Type.Number(),
  max_context_length: Type.Number(),
  architecture: optional(Type.String()),
  params_string: optional(Type.String()),
  quantization: optional(Type.Object({ name: optional(Type.String()) })),
  capabilities: optional(Type.Object({ trained_for_tool_use: Type.Boolean() })),
  selected_variant: optional(Type.String()),
  loaded_instances: Type.Array(Type.Object({ id: Type.String() })),
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
  /** `key@quant`, when there are several. */
  selected_variant?: string | null | undefined;
}

/**
 * The one that `name` means: its exact name, else the only one whose name contains it; case does
 * not matter. Quantisations of one model count as one, which is that of the plain name.
 * @throws ExitError failed when there is none, usage when there are several, naming them.
 */
export function matchModel<M extends Named>(models: readonly M[], name: string): M {
  const folded = name.toLowerCase();
  const namesOf = ({ key, selected_variant: variant }: M): string[] =>
    [key, variant ?? key].map((text) => text.toLowerCase());
  const exact = models.find((model) => namesOf(model).includes(folded));
  if (exact !== undefined) return exact;
  const found = models.filter((model) => namesOf(model).some((text) => text.includes(folded)));
  const [first, ...others] = found;
  const shown = JSON.stringify(name.slice(0, 200));
  if (first === undefined)
    throw new ExitError(EXIT.failed, `Model not found: ${shown}. See: lmserver ls`, {
      code: "model_not_found",
    });
  if (others.length === 0) return first;
  const families = new Set(found.map((model) => familyOf(model)));
  const plain = found.find(({ key }) => !key.includes("@"));
  if (families.size === 1 && plain !== undefined) return plain;
  const candidates = found.map(({ key }) => `  ${key}`).join("\n");
  throw new ExitError(EXIT.usage, `${shown} may mean several models:\n${candidates}`, {
    code: "ambiguous_model",
  });
}

const familyOf = ({ key, selected_variant: variant }: Named): string =>
  (variant ?? key).replace(/@[^@]*$/, "");
