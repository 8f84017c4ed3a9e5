import { Type } from "typebox";
import type { Server } from "./generation.ts";
import { jsonResponse } from "./json-response.ts";
import type { GetRoute } from "./route.ts";

const Adapter = Type.Object({
  key: Type.String({ description: "What a load names" }),
  display_name: Type.String(),
  architecture: Type.String({ description: "Of the models it fits" }),
  size_bytes: Type.Integer(),
  source: Type.String({ description: "Where the file was found" }),
});

/** GET /api/lmserver/adapters: the LoRA adapters on disk; an extension of our own. */
export function adaptersRoute({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/api/lmserver/adapters",
    permission: "inference",
    doc: {
      summary: "List the LoRA adapters on disk",
      tag: "System",
      response: {
        description: "Adapters that a model can be loaded with.",
        schema: Type.Object({ adapters: Type.Array(Adapter) }),
        example: {
          adapters: [
            {
              key: "pirate",
              display_name: "Pirate",
              architecture: "llama",
              size_bytes: 1_432_064,
              source: "models-dir",
            },
          ],
        },
      },
    },
    async answer() {
      const adapters = await deps.catalog.adapters();
      return jsonResponse({
        adapters: adapters.map(({ key, displayName, architecture, sizeBytes, source }) => ({
          key,
          display_name: displayName,
          architecture,
          size_bytes: sizeBytes,
          source,
        })),
      });
    },
  };
}
