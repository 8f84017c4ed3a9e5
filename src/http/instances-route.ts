import { Type, type Static } from "typebox";
import { instanceLifecycle } from "../pool/lifecycle.ts";
import type { InstanceStatus } from "../pool/pool.ts";
import type { Server } from "./generation.ts";
import { jsonResponse } from "./json-response.ts";
import type { GetRoute } from "./route.ts";

const Instance = Type.Object({
  identifier: Type.String(),
  model: Type.String({ description: "Key of the model" }),
  type: Type.Union([Type.Literal("llm"), Type.Literal("embedding")]),
  display_name: Type.String(),
  publisher: Type.String(),
  architecture: Type.String(),
  params_string: Type.Union([Type.String(), Type.Null()]),
  quantization: Type.Union([Type.String(), Type.Null()]),
  size_bytes: Type.Integer(),
  max_context_length: Type.Integer(),
  context_length: Type.Union([Type.Integer(), Type.Null()], { description: "null while loading" }),
  state: Type.Union(
    [
      Type.Literal("loading"),
      Type.Literal("loaded"),
      Type.Literal("draining"),
      Type.Literal("unloading"),
    ],
    { description: "draining = it leaves once its requests are answered" },
  ),
  load_progress: Type.Union([Type.Number(), Type.Null()], {
    description: "Part of the model read so far, 0 to 1; null unless loading",
  }),
  parallel: Type.Integer(),
  running: Type.Integer({ description: "Requests being worked on" }),
  activity: Type.Enum(["idle", "processing_prompt", "generating", "embedding"], {
    description: "What the request that is nearest to its answer is at",
  }),
  queued: Type.Integer({ description: "Requests waiting" }),
  ttl_ms: Type.Union([Type.Number(), Type.Null()], { description: "Idle time before unload" }),
  last_used_at: Type.String({ description: "ISO 8601" }),
  lora: Type.Array(Type.Object({ id: Type.Integer(), name: Type.String(), scale: Type.Number() }), {
    description: "LoRA adapters by number, with the scale for requests that do not choose",
  }),
  draft_model: Type.Union([Type.String(), Type.Null()], {
    description: "Key of the model that drafts for it; its memory is not in size_bytes",
  }),
});
type Instance = Static<typeof Instance>;

const EXAMPLE: Instance = {
  identifier: "demo",
  model: "demo",
  type: "llm",
  display_name: "lmserver demo",
  publisher: "lmserver",
  architecture: "qwen3",
  params_string: "1.3M",
  quantization: "Q8_0",
  size_bytes: 1_452_800,
  max_context_length: 2_048,
  context_length: 2_048,
  state: "loaded",
  load_progress: null,
  parallel: 4,
  running: 1,
  activity: "generating",
  queued: 0,
  ttl_ms: 3_600_000,
  last_used_at: "2026-01-31T12:00:00.000Z",
  lora: [{ id: 0, name: "pirate", scale: 1 }],
  draft_model: null,
};

/** GET /api/lmserver/instances: what is in memory and how busy it is; an extension of our own. */
export function instancesRoute({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/api/lmserver/instances",
    permission: "inference",
    doc: {
      summary: "List the models in memory",
      tag: "System",
      response: {
        description: "Loaded models and those on their way, by identifier.",
        schema: Type.Object({ instances: Type.Array(Instance) }),
        example: { instances: [EXAMPLE] },
      },
    },
    answer() {
      const instances = deps.pool
        .instances()
        .flatMap((status) => toInstance(status) ?? [])
        .toSorted((a, b) => (a.identifier < b.identifier ? -1 : 1));
      return jsonResponse({ instances });
    },
  };
}

const ACTIVITIES = {
  idle: "idle",
  "processing-prompt": "processing_prompt",
  generating: "generating",
  embedding: "embedding",
} as const;

/** @returns null for an instance that has failed. */
function toInstance(status: InstanceStatus): Instance | null {
  const { model, identifier, parallel, running, queued, ttlMs, lastUsedMs, info, settings } =
    status;
  const state = instanceLifecycle(status);
  if (state === "failed") return null;
  return {
    identifier,
    model: model.key,
    type: model.kind,
    display_name: model.displayName,
    publisher: model.publisher,
    architecture: model.architecture,
    params_string: model.parameters,
    quantization: model.quantization,
    size_bytes: model.sizeBytes,
    max_context_length: model.maxContextLength,
    context_length: info?.contextLength ?? null,
    state,
    load_progress: state === "loading" ? status.loadedFraction : null,
    parallel,
    running,
    activity: ACTIVITIES[status.activity],
    queued,
    ttl_ms: ttlMs,
    last_used_at: new Date(lastUsedMs).toISOString(),
    lora: (settings.adapters ?? []).map(({ name, scale }, id) => ({ id, name, scale })),
    draft_model: settings.draft?.model.key ?? info?.draftModel ?? null,
  };
}
