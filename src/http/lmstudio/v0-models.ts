import type { CatalogModel } from "../../catalog/model.ts";
import { modelCapabilities } from "../../chat/model-capabilities.ts";
import type { InstanceStatus } from "../../pool/pool.ts";
import type { Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import type { GetRoute } from "../route.ts";
import { V0_MODEL_EXAMPLE } from "./examples.ts";
import { findModel, instanceNamed, readyInstances } from "./model-facts.ts";
import { type V0Model, V0Models, V0Model as V0ModelSchema } from "./models.schema.ts";

/** GET /api/v0/models: everything installed. */
export function v0Models({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/api/v0/models",
    permission: "inference",
    doc: {
      summary: "List the models (older form)",
      tag: "LM Studio",
      response: {
        description: "Everything installed.",
        schema: V0Models,
        example: { object: "list", data: [V0_MODEL_EXAMPLE] },
      },
    },
    async answer() {
      const instances = deps.pool.instances();
      const models = await deps.catalog.list();
      return jsonResponse({
        object: "list",
        data: models.map((model) => toV0Model(model, readyInstances(instances, model)[0] ?? null)),
      });
    },
  };
}

/** GET /api/v0/models/{id}; ids may contain slashes. */
export function v0Model({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/api/v0/models/{id}",
    permission: "inference",
    doc: {
      summary: "Describe one model (older form)",
      tag: "LM Studio",
      response: { description: "The model.", schema: V0ModelSchema, example: V0_MODEL_EXAMPLE },
    },
    async answer(_context, id) {
      const model = await findModel(deps, id);
      const ready = readyInstances(deps.pool.instances(), model);
      return jsonResponse(toV0Model(model, instanceNamed(ready, id) ?? ready[0] ?? null));
    },
  };
}

function toV0Model(model: CatalogModel, instance: InstanceStatus | null): V0Model {
  const context = instance?.info?.contextLength;
  const isLlm = model.kind === "llm";
  return {
    id: model.key,
    object: "model",
    type: isLlm ? "llm" : "embeddings",
    publisher: model.publisher,
    arch: model.architecture,
    compatibility_type: "gguf",
    quantization: model.quantization ?? "unknown",
    state: context === undefined ? "not-loaded" : "loaded",
    max_context_length: model.maxContextLength,
    ...(context !== undefined && { loaded_context_length: context }),
    ...(isLlm && { capabilities: modelCapabilities(model).toolUse ? ["tool_use"] : [] }),
  };
}
