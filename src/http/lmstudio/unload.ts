import { Type } from "typebox";
import type { Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import { holdOpen } from "../request-context.ts";
import type { PostRoute } from "../route.ts";
import { strictObject } from "../schema.ts";
import { strictValidator } from "./strict.ts";

/** Body of POST /api/v1/models/unload, and its answer. */
const NativeUnload = strictObject({
  instance_id: Type.String({ minLength: 1, description: "Identifier of a loaded instance." }),
});

const parse = strictValidator(NativeUnload);
const EXAMPLE = { instance_id: "demo" };

/** POST /api/v1/models/unload: running requests end with `model_unloaded`. */
export function nativeUnload({ deps }: Server): PostRoute {
  return {
    method: "POST",
    path: "/api/v1/models/unload",
    permission: "models:manage",
    body: NativeUnload,
    bodyExample: EXAMPLE,
    doc: {
      summary: "Unload an instance of a model",
      tag: "LM Studio",
      response: { description: "It is gone.", schema: NativeUnload, example: EXAMPLE },
    },
    async answer(context, body) {
      const { instance_id } = parse(body);
      holdOpen(context);
      await deps.pool.unload(instance_id, { force: true });
      return jsonResponse({ instance_id });
    },
  };
}
