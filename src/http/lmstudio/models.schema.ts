import { Type, type Static } from "typebox";
import { oneOf } from "../schema.ts";

const nullable = <T extends Parameters<typeof Type.Array>[0]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

export const ReasoningWord = oneOf(["off", "on", "low", "medium", "high"], "How to think.");

/** How an instance was loaded; embedding models show the context only. */
export const LoadConfig = Type.Object({
  context_length: Type.Integer(),
  eval_batch_size: Type.Optional(Type.Integer()),
  parallel: Type.Optional(Type.Integer()),
  flash_attention: Type.Optional(Type.Boolean()),
  num_experts: Type.Optional(Type.Integer()),
  offload_kv_cache_to_gpu: Type.Optional(Type.Boolean()),
});
export type LoadConfig = Static<typeof LoadConfig>;

export const NativeModel = Type.Object({
  type: oneOf(["llm", "embedding"], "What it can be asked to do."),
  publisher: Type.String(),
  key: Type.String({ description: "What goes into `model`." }),
  display_name: Type.String(),
  architecture: Type.Optional(nullable(Type.String())),
  quantization: nullable(
    Type.Object({
      name: nullable(Type.String()),
      bits_per_weight: nullable(Type.Number()),
    }),
  ),
  size_bytes: Type.Integer(),
  params_string: nullable(Type.String()),
  loaded_instances: Type.Array(Type.Object({ id: Type.String(), config: LoadConfig })),
  max_context_length: Type.Integer(),
  format: Type.Literal("gguf"),
  capabilities: Type.Optional(
    Type.Object({
      vision: Type.Boolean(),
      trained_for_tool_use: Type.Boolean(),
      reasoning: Type.Optional(
        Type.Object({ allowed_options: Type.Array(ReasoningWord), default: ReasoningWord }),
      ),
    }),
  ),
  description: Type.Optional(Type.Null()),
  variants: Type.Optional(Type.Array(Type.String())),
  selected_variant: Type.Optional(Type.String()),
});
export type NativeModel = Static<typeof NativeModel>;

export const NativeModels = Type.Object({ models: Type.Array(NativeModel) });

/** A model as /api/v0 shows it. */
export const V0Model = Type.Object({
  id: Type.String(),
  object: Type.Literal("model"),
  type: oneOf(["llm", "vlm", "embeddings"], "What it can be asked to do."),
  publisher: Type.String(),
  arch: Type.String(),
  compatibility_type: Type.Literal("gguf"),
  quantization: Type.String(),
  state: oneOf(["loaded", "not-loaded"], "Whether it is in memory."),
  max_context_length: Type.Integer(),
  loaded_context_length: Type.Optional(Type.Integer()),
  capabilities: Type.Optional(Type.Array(Type.String())),
});
export type V0Model = Static<typeof V0Model>;

export const V0Models = Type.Object({ object: Type.Literal("list"), data: Type.Array(V0Model) });

/** The body of every failure below /api/v1. */
export const NativeErrorBody = Type.Object({
  error: Type.Object({
    type: oneOf(
      ["invalid_request", "model_not_found", "job_not_found", "not_implemented", "internal_error"],
      "What went wrong.",
    ),
    message: Type.String(),
    code: Type.Optional(Type.String()),
    param: Type.Optional(Type.String()),
  }),
});
