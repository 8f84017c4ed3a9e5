import { Type, type Static } from "typebox";
import type { CatalogAdapter, CatalogModel } from "../../catalog/model.ts";
import { findAdapter } from "../../catalog/adapters.ts";
import { renameParam } from "../../lib/error-param.ts";
import { invalidRequest } from "../../lib/errors.ts";
import { MAX_ADAPTERS } from "../../lib/limits.ts";
import { printable } from "../../lib/printable.ts";
import { resolveDraft } from "../../chat/resolve-draft.ts";
import { DRAFT_LIMITS, type LoadRequest } from "../../pool/pool.ts";
import type { Deps } from "../deps.ts";
import type { Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import { holdOpen } from "../request-context.ts";
import type { PostRoute } from "../route.ts";
import { decimal, integer, opt, strictObject } from "../schema.ts";
import { LOAD_EXAMPLE, LOAD_REQUEST_EXAMPLE } from "./examples.ts";
import { findModel } from "./model-facts.ts";
import { checkCacheType, toTuning, tuningFields } from "./load-tuning.ts";
import { LoadConfig } from "./models.schema.ts";
import { loadConfig } from "./models.ts";
import { strictValidator } from "./strict.ts";

const fields = {
  model: Type.String({ minLength: 1, description: "Key or variant." }),
  context_length: opt(integer("Tokens; default automatic.", { minimum: 1 })),
  eval_batch_size: opt(integer("Tokens per decode. Default 512.", { minimum: 1, maximum: 65_536 })),
  flash_attention: opt(Type.Boolean({ description: "Default automatic." })),
  num_experts: opt(integer("Experts per token, of models that have some.", { minimum: 1 })),
  offload_kv_cache_to_gpu: opt(Type.Boolean({ description: "Default true: with the layers." })),
  echo_load_config: opt(Type.Boolean({ description: "Answer with the configuration." })),
};

/** Body of POST /api/v1/models/load. */
const NativeLoad = strictObject(fields);

const LoadedLora = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 256, description: "Key of an installed adapter." }),
  scale: opt(
    decimal("For requests that do not choose. Default 1.", { minimum: -100, maximum: 100 }),
  ),
});

/** With the fields that LM Studio does not have. */
const ExtendedLoad = strictObject({
  ...fields,
  ...tuningFields,
  identifier: opt(Type.String({ minLength: 1, maxLength: 256 })),
  ttl: opt(integer("Idle seconds before unload.", { minimum: 1, maximum: 2_000_000 })),
  parallel: opt(integer("Requests worked on at the same time.", { minimum: 1, maximum: 256 })),
  lora: opt(
    Type.Array(LoadedLora, {
      maxItems: MAX_ADAPTERS,
      description: "LoRA adapters; their order gives the numbers by which requests name them.",
    }),
  ),
  draft_model: opt(
    Type.String({ minLength: 1, description: "Installed model that drafts for this one." }),
  ),
  draft_max_tokens: opt(integer("Guesses per step. Default 16.", { minimum: 1, maximum: 1024 })),
  draft_min_tokens: opt(integer("Fewer are not checked. Default 0.", { minimum: 0 })),
  draft_min_probability: opt(
    decimal("A guess less likely than this is not made. Default 0.", { minimum: 0, maximum: 1 }),
  ),
  gpu: opt(
    Type.Union([
      Type.Literal("auto"),
      Type.Literal("off"),
      Type.Literal("max"),
      Type.Number({ minimum: 0, maximum: 1 }),
    ]),
  ),
});
type ExtendedLoad = Static<typeof ExtendedLoad>;

export const LoadAnswer = Type.Object({
  type: Type.Union([Type.Literal("llm"), Type.Literal("embedding")]),
  instance_id: Type.String(),
  load_time_seconds: Type.Number(),
  status: Type.Literal("loaded"),
  load_config: Type.Optional(LoadConfig),
});

const parseStrict = strictValidator(NativeLoad);
const parseExtended = strictValidator(ExtendedLoad);

/** POST /api/v1/models/load: answers when the model is loaded; it then stays. */
export function nativeLoad({ deps }: Server): PostRoute {
  return {
    method: "POST",
    path: "/api/v1/models/load",
    permission: "models:manage",
    body: deps.settings.restExtensions ? ExtendedLoad : NativeLoad,
    bodyExample: LOAD_REQUEST_EXAMPLE,
    doc: {
      summary: "Load a model",
      tag: "LM Studio",
      response: { description: "It is loaded.", schema: LoadAnswer, example: LOAD_EXAMPLE },
    },
    async answer(context, body) {
      // Our own command line has options that LM Studio's API has no fields for.
      const isOwnClient = context.request.headers.has("x-lmserver-client");
      const isExtended = deps.settings.restExtensions || isOwnClient;
      const parse = isExtended ? parseExtended : parseStrict;
      const request: ExtendedLoad = parse(body);
      const model = await findModel(deps, request.model);
      checkCacheType(request.cache_type_v, request.flash_attention);
      await checkIdentifier(deps, request.identifier ?? null, model);
      const contextLength = request.context_length ?? null;
      if (contextLength !== null) checkContextLength(contextLength, model.maxContextLength);
      const experts = toExperts(request.num_experts ?? null, model, context.warnings);
      context.facts.model = model.key;
      holdOpen(context);
      const startMs = deps.clock.monotonicMs();
      const load = {
        ...toLoad(request),
        ...experts,
        ...(await toAdapters(deps, request.lora ?? [])),
        ...(await toDraft(deps, request, model)),
      };
      const instance = await deps.pool
        .load(model, load, context.request.signal)
        .catch((error: unknown) => {
          throw renameParam(error, toWire);
        });
      const seconds = (deps.clock.monotonicMs() - startMs) / 1000;
      const [asked, threads] = [request.threads ?? 0, instance.info?.threads ?? Infinity];
      if (threads < asked)
        context.warnings.push(
          `threads: ${asked} asked for, ${threads} compute: no more processors`,
        );
      return jsonResponse({
        type: model.kind,
        instance_id: instance.identifier,
        load_time_seconds: Math.round(seconds * 1000) / 1000,
        status: "loaded",
        ...(request.echo_load_config === true && { load_config: loadConfig(instance) }),
      });
    },
  };
}

function toWire(param: string): string {
  return param === "draftModel" ? "draft_model" : param;
}

/** @throws LmError invalid_value for a name that already means another model. */
async function checkIdentifier(
  { catalog }: Deps,
  identifier: string | null,
  model: CatalogModel,
): Promise<void> {
  const owner = identifier === null ? null : await catalog.find(identifier, "exactly");
  if (owner === null || owner.path === model.path) return;
  throw invalidRequest(
    "identifier",
    "invalid_value",
    `Invalid 'identifier': "${owner.key}" is the name of another installed model. Choose another.`,
  );
}

/** @throws LmError invalid_value for more than the model was trained for. */
export function checkContextLength(wanted: number, maximum: number): void {
  if (wanted <= maximum) return;
  throw invalidRequest(
    "context_length",
    "invalid_value",
    `Invalid 'context_length': the model's maximum is ${maximum}, but got ${wanted}.`,
  );
}

/** Only what was said: absent fields leave the server's defaults. */
function toLoad(request: ExtendedLoad): LoadRequest {
  const { context_length, eval_batch_size, flash_attention, identifier, ttl, parallel, gpu } =
    request;
  return {
    ...(context_length != null && { contextLength: context_length }),
    ...(eval_batch_size != null && { batchCapacity: eval_batch_size }),
    ...(flash_attention != null && { flashAttention: flash_attention ? "on" : "off" }),
    ...(request.offload_kv_cache_to_gpu === false && { kvOnGpu: false }),
    ...toTuning(request),
    ...(identifier != null && { identifier }),
    ...(ttl != null && { ttlMs: ttl * 1_000 }),
    ...(parallel != null && { parallel }),
    ...(gpu != null && { gpuLayers: gpu === 0 ? "off" : gpu === 1 ? "max" : gpu }),
  };
}

/** @throws LmError model_not_found, or invalid_value when it does not suit the model. */
async function toDraft(
  { catalog }: Deps,
  request: ExtendedLoad,
  model: CatalogModel,
): Promise<Pick<LoadRequest, "draft">> {
  if (request.draft_model == null) return {};
  const maxTokens = request.draft_max_tokens ?? DRAFT_LIMITS.maxTokens;
  const minTokens = request.draft_min_tokens ?? DRAFT_LIMITS.minTokens;
  if (minTokens > maxTokens) {
    const message = "Invalid 'draft_min_tokens': it must not exceed draft_max_tokens.";
    throw invalidRequest("draft_min_tokens", "invalid_value", message);
  }
  const minProbability = request.draft_min_probability ?? DRAFT_LIMITS.minProbability;
  const draft = await resolveDraft(catalog, request.draft_model, model).catch((error: unknown) => {
    throw renameParam(error, toWire);
  });
  return { draft: { model: draft, maxTokens, minTokens, minProbability } };
}

/**
 * Only adapters that the catalogue knows: a request never names a file of its own choice.
 * @throws LmError invalid_value for one that is not installed.
 */
async function toAdapters(
  { catalog }: Deps,
  lora: readonly Static<typeof LoadedLora>[],
): Promise<Pick<LoadRequest, "adapters">> {
  if (lora.length === 0) return {};
  const known = await catalog.adapters();
  const adapters = lora.map(({ id, scale }, index) => {
    const adapter = findAdapter(known, id);
    if (adapter === null) throw unknownAdapter(`lora[${index}].id`, id, known);
    const { key, path, sizeBytes } = adapter;
    return { name: key, path, sizeBytes, scale: scale ?? 1 };
  });
  return { adapters };
}

function unknownAdapter(param: string, id: string, known: readonly CatalogAdapter[]) {
  const names = known.map(({ key }) => key).join(", ");
  const installed = names === "" ? "none is installed" : `installed are ${names}`;
  const message = `Invalid '${param}': no LoRA adapter is called "${printable(id)}", ${installed}.`;
  return invalidRequest(param, "invalid_value", message);
}

/** @throws LmError invalid_value for more than there are. */
function toExperts(
  used: number | null,
  { architecture, header }: CatalogModel,
  warnings: string[],
): Pick<LoadRequest, "experts"> {
  const count = header.expertCount ?? 0;
  if (used === null) return {};
  if (count > 0 && used > count) {
    throw invalidRequest(
      "num_experts",
      "invalid_value",
      `Invalid 'num_experts': the model has ${count} experts, but got ${used}.`,
    );
  }
  if (count > 0) return { experts: { architecture, used } };
  warnings.push("num_experts: not applied, the model has none");
  return {};
}
