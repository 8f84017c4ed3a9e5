import { Type, type Static } from "typebox";
import { EXIT, type Command } from "./command.ts";
import { fromServer, type ListedModel } from "./listed-model.ts";
import { openServerCatalog } from "./local-catalog.ts";
import { modelJson, sizeText } from "./model-json.ts";
import { CLIENT_FLAGS, findServer, type Target } from "./server-client.ts";
import { listServerModels } from "./server-models.ts";
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
  activity: Type.String(),
  queued: Type.Number(),
  ttl_ms: Type.Union([Type.Number(), Type.Null()]),
  last_used_at: Type.String(),
  lora: Type.Array(Type.Object({ id: Type.Integer(), name: Type.String(), scale: Type.Number() })),
  draft_model: Type.Union([Type.String(), Type.Null()]),
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
  async run(args, terminal) {
    const { print } = terminal;
    const { values } = parseVerb(CLIENT_FLAGS, args, terminal.env, { operands: 0 });
    const target = findServer(values, terminal);
    const { instances } = await listInstances(target);
    if (values.json) {
      const models = instances.length === 0 ? [] : await describe(target);
      print(JSON.stringify(instances.map((instance) => toJson(instance, models))));
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

/** The server's models as `ls --json` prints them; paths are known of those on this machine. */
async function describe(target: Target): Promise<readonly ListedModel[]> {
  const local = (await openServerCatalog(target.own)?.list()) ?? [];
  return (await listServerModels(target)).map((model) => fromServer(model, local));
}

const HEAD = ["IDENTIFIER", "MODEL", "STATUS", "SIZE", "CONTEXT", "PARALLEL", "TTL"];

/** The keys are those of LM Studio's `lms ps --json`, and what an instance has beside its model. */
function toJson(instance: Instance, models: readonly ListedModel[]): Record<string, unknown> {
  const listed = models.find(({ key }) => key === instance.model);
  return {
    ...modelJson(listed ?? fromInstance(instance), []),
    identifier: instance.identifier,
    contextLength: instance.context_length,
    ttlMs: instance.ttl_ms,
    lastUsedTime: Date.parse(instance.last_used_at),
    status: statusOf(instance),
    queued: instance.queued,
    parallel: instance.type === "llm" ? instance.parallel : null,
    ...(instance.lora.length > 0 && { lora: instance.lora }),
    ...(instance.draft_model !== null && { draftModel: instance.draft_model }),
  };
}

/** A model whose file is gone is known by what is in memory alone. */
function fromInstance(instance: Instance): ListedModel {
  return {
    kind: instance.type,
    key: instance.model,
    variant: instance.model,
    displayName: instance.display_name,
    publisher: instance.publisher,
    path: null,
    sizeBytes: instance.size_bytes,
    architecture: instance.architecture,
    parameters: instance.params_string,
    quantization: instance.quantization,
    maxContextLength: instance.max_context_length,
    knowsTools: false,
    source: "server",
    loadedCount: 1,
  };
}

function toRow(instance: Instance, nowMs: number): string[] {
  return [
    instance.identifier,
    instance.draft_model === null ? instance.model : `${instance.model} + ${instance.draft_model}`,
    statusOf(instance).toUpperCase(),
    sizeText(instance.size_bytes),
    String(instance.context_length ?? ""),
    instance.type === "llm" ? String(instance.parallel) : "-",
    ttlText(instance, nowMs),
  ];
}

const STATUSES: ReadonlyMap<string, string> = new Map([
  ["processing_prompt", "processingPrompt"],
  ["embedding", "computingEmbedding"],
]);

function statusOf({ state, activity }: Instance): string {
  return state === "loaded" ? (STATUSES.get(activity) ?? activity) : state;
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
