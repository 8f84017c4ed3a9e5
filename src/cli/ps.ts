import { Type, type Static } from "typebox";
import { EXIT, type Command } from "./command.ts";
import { bitsOf, sizeText } from "./model-json.ts";
import { CLIENT_FLAGS, findServer, type Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";
import { textTable } from "./text-table.ts";
import { parseVerb } from "./verb-flags.ts";

/** The part of `GET /api/lmserver/instances` used here. */
const Instance = Type.Object({
  identifier: Type.String(),
  model: Type.String(),
  type: Type.Union([Type.Literal("llm"), Type.Literal("embedding")]),
  display_name: Type.String(),
  publisher: Type.String(),
  architecture: Type.String(),
  params_string: Type.Union([Type.String(), Type.Null()]),
  quantization: Type.Union([Type.String(), Type.Null()]),
  size_bytes: Type.Number(),
  max_context_length: Type.Number(),
  context_length: Type.Union([Type.Number(), Type.Null()]),
  state: Type.String(),
  load_progress: Type.Union([Type.Number(), Type.Null()]),
  parallel: Type.Number(),
  running: Type.Number(),
  queued: Type.Number(),
  ttl_ms: Type.Union([Type.Number(), Type.Null()]),
  last_used_at: Type.String(),
  lora: Type.Array(Type.Object({ id: Type.Integer(), name: Type.String(), scale: Type.Number() })),
  // Servers before this field say nothing.
  draft_model: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});
type Instance = Static<typeof Instance>;
const Instances = Type.Object({ instances: Type.Array(Instance) });

/** What the server has in memory. */
export function listInstances(target: Target): Promise<Static<typeof Instances>> {
  return askServer(target, { path: "/api/lmserver/instances", schema: Instances });
}

/** `lmserver ps [--json]`: what the server has in memory. */
export const ps: Command = {
  settings: CLIENT_FLAGS,
  operands: "",
  async run(args, { print, note, env }) {
    const { values } = parseVerb(CLIENT_FLAGS, args, env, { operands: 0 });
    const target = findServer(values, { env, note });
    const { instances } = await listInstances(target);
    if (values.json) {
      print(JSON.stringify(instances.map(toJson)));
    } else if (instances.length === 0) {
      print("No models are currently loaded.");
      print("Load one with: lmserver load <model>. A request that names a model loads it too.");
    } else {
      const nowMs = Date.now();
      const rows = instances.map((instance) => toRow(instance, nowMs));
      for (const line of textTable([HEAD, ...rows])) print(line);
    }
    return EXIT.ok;
  },
};

const HEAD = ["IDENTIFIER", "MODEL", "STATUS", "SIZE", "CONTEXT", "PARALLEL", "TTL"];

/** The keys are those of LM Studio's `lms ps --json`, and what an instance has beside its model. */
function toJson(instance: Instance): Record<string, unknown> {
  const { quantization, params_string: paramsString } = instance;
  return {
    type: instance.type,
    modelKey: instance.model,
    format: "gguf",
    displayName: instance.display_name,
    publisher: instance.publisher,
    indexedModelIdentifier: instance.model,
    deviceIdentifier: null,
    sizeBytes: instance.size_bytes,
    maxContextLength: instance.max_context_length,
    ...(paramsString !== null && { paramsString }),
    architecture: instance.architecture,
    ...(quantization !== null && {
      quantization: { name: quantization, bits: bitsOf(quantization) },
    }),
    identifier: instance.identifier,
    contextLength: instance.context_length,
    ttlMs: instance.ttl_ms,
    lastUsedTime: Date.parse(instance.last_used_at),
    status: statusOf(instance),
    queued: instance.queued,
    parallel: instance.type === "llm" ? instance.parallel : null,
    ...(instance.lora.length > 0 && { lora: instance.lora }),
    ...(instance.draft_model != null && { draftModel: instance.draft_model }),
  };
}

function toRow(instance: Instance, nowMs: number): string[] {
  return [
    instance.identifier,
    instance.draft_model == null ? instance.model : `${instance.model} + ${instance.draft_model}`,
    statusOf(instance).toUpperCase(),
    sizeText(instance.size_bytes),
    String(instance.context_length ?? ""),
    instance.type === "llm" ? String(instance.parallel) : "-",
    ttlText(instance, nowMs),
  ];
}

function statusOf({ state, running, type }: Instance): string {
  if (state !== "loaded") return state;
  if (running === 0) return "idle";
  return type === "embedding" ? "computingEmbedding" : "generating";
}

/** What is left of the idle time, and all of it; the clock stands still while there is work. */
function ttlText(
  { ttl_ms: ttlMs, last_used_at: lastUsedAt, running }: Instance,
  nowMs: number,
): string {
  if (ttlMs === null) return "";
  const idleMs = running > 0 ? 0 : Math.max(0, nowMs - Date.parse(lastUsedAt));
  return `${durationText(Math.max(0, ttlMs - idleMs))} / ${durationText(ttlMs)}`;
}

/** "59m", "1h", "45s". */
function durationText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds}s`;
  return seconds < 3_600 ? `${Math.floor(seconds / 60)}m` : `${Math.round(seconds / 360) / 10}h`;
}
