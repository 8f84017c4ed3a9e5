import type { CatalogModel } from "../../catalog/model.ts";
import { modelCapabilities } from "../../chat/model-capabilities.ts";
import type { InstanceStatus } from "../../pool/pool.ts";
import type { Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import type { GetRoute } from "../route.ts";
import { NATIVE_MODELS_EXAMPLE } from "./examples.ts";
import { bitsPerWeight, readyInstances } from "./model-facts.ts";
import { type LoadConfig, type NativeModel, NativeModels } from "./models.schema.ts";

/** GET /api/v1/models: everything installed, loaded or not. */
export function nativeModels({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/api/v1/models",
    permission: "inference",
    doc: {
      summary: "List the models and their instances",
      tag: "LM Studio",
      response: {
        description: "Everything installed.",
        schema: NativeModels,
        example: NATIVE_MODELS_EXAMPLE,
      },
    },
    async answer() {
      const listed = await deps.catalog.list();
      const instances = deps.pool.instances();
      const paths = new Set(listed.map(({ path }) => path));
      // A loaded model whose file is gone is still there.
      const others = instances.map(({ model }) => model).filter(({ path }) => !paths.has(path));
      const models = [...listed, ...new Map(others.map((model) => [model.path, model])).values()];
      const families = Map.groupBy(models, ({ variant }) => variant.replace(/@[^@]*$/, ""));
      return jsonResponse({
        models: models.map((model) => {
          const family = families.get(model.variant.replace(/@[^@]*$/, "")) ?? [model];
          return toNativeModel(model, readyInstances(instances, model), family);
        }),
      });
    },
  };
}

function toNativeModel(
  model: CatalogModel,
  instances: readonly InstanceStatus[],
  family: readonly CatalogModel[],
): NativeModel {
  const { kind, quantization } = model;
  return {
    type: kind,
    publisher: model.publisher,
    key: model.key,
    display_name: model.displayName,
    ...(kind === "llm" && { architecture: model.architecture }),
    quantization:
      quantization === null
        ? null
        : { name: quantization, bits_per_weight: bitsPerWeight(quantization) },
    size_bytes: model.sizeBytes,
    params_string: model.parameters,
    loaded_instances: instances.map((instance) => ({
      id: instance.identifier,
      config: loadConfig(instance),
    })),
    max_context_length: model.maxContextLength,
    format: "gguf",
    ...(kind === "llm" && { capabilities: toCapabilities(model), description: null }),
    ...(family.length > 1 && {
      variants: family.map(({ variant }) => variant),
      selected_variant: model.variant,
    }),
  };
}

function toCapabilities(model: CatalogModel): NonNullable<NativeModel["capabilities"]> {
  const { toolUse, reasoning } = modelCapabilities(model);
  return {
    vision: false,
    trained_for_tool_use: toolUse,
    ...(reasoning && {
      reasoning: { allowed_options: [...reasoning.allowed], default: reasoning.default },
    }),
  };
}

/** How a ready instance was loaded: what is known, and nothing that only was asked for. */
export function loadConfig({ model, info, settings, parallel }: InstanceStatus): LoadConfig {
  const context = { context_length: info?.contextLength ?? 0 };
  if (model.kind === "embedding") return context;
  const isOnGpu = (info?.gpuLayers ?? 0) > 0 && settings.kvOnGpu !== false;
  return {
    ...context,
    eval_batch_size: settings.batchCapacity,
    parallel,
    flash_attention: settings.flashAttention !== "off",
    ...(settings.experts && { num_experts: settings.experts.used }),
    offload_kv_cache_to_gpu: isOnGpu,
  };
}
