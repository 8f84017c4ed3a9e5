import type { CatalogModel } from "../../catalog/model.ts";
import { modelCapabilities } from "../../chat/model-capabilities.ts";
import { resolveModel } from "../../chat/resolve-model.ts";
import { requestedDraft } from "../../chat/resolve-draft.ts";
import { renameParam } from "../../lib/error-param.ts";
import { invalidRequest } from "../../lib/errors.ts";
import type { AcquireOptions, LoadedDraft } from "../../pool/pool.ts";
import type { Deps } from "../deps.ts";
import { toWire } from "./chat.decode.ts";
import type { ExtendedChat } from "./chat.schema.ts";
import { checkContextLength } from "./load.ts";
import { findModel } from "./model-facts.ts";

/** Who answers a chat, and whether it must be loaded first. */
export interface ChatModel {
  model: CatalogModel;
  /** Identifier of the instance that is expected to answer. */
  instanceId: string;
  needsLoad: boolean;
  /** How it is asked for. */
  options: AcquireOptions;
}

/**
 * The model a chat names, with the context and the draft model it wants.
 * @throws LmError model_not_found, model_not_loaded, model_unloaded, unsupported_model;
 *   invalid_request for a context that cannot be had or thinking that cannot be chosen.
 */
export async function chatModel(deps: Deps, request: ExtendedChat): Promise<ChatModel> {
  const { settings, pool } = deps;
  const isPlainName = request.model === "default"; // means any model elsewhere, but not here
  const model = isPlainName
    ? await findModel(deps, request.model)
    : await resolveModel(deps, request.model, "llm", settings);
  checkReasoning(model, request.reasoning ?? null);
  const wanted = request.context_length ?? null;
  if (wanted !== null) checkContextLength(wanted, model.maxContextLength);
  try {
    const draft = await requestedDraft(deps.catalog, request.draft_model, model);
    const options = toAcquire(request, draft);
    const { identifier, needsLoad } = pool.preview(model, options);
    return { model, instanceId: identifier, needsLoad, options };
  } catch (error) {
    throw renameParam(error, toWire);
  }
}

function checkReasoning(model: CatalogModel, setting: ExtendedChat["reasoning"]): void {
  if (setting == null) return;
  const allowed = modelCapabilities(model).reasoning?.allowed ?? [];
  if (allowed.some((option) => option === setting)) return;
  const list = allowed.map((option) => `'${option}'`).join(", ");
  throw invalidRequest(
    "reasoning",
    "unsupported_reasoning_setting",
    `Model "${model.key}" does not support the reasoning setting '${setting}'. ` +
      (list === "" ? "It has none." : `It supports: ${list}.`),
  );
}

function toAcquire(
  { model, ttl, context_length }: ExtendedChat,
  draft: LoadedDraft | null,
): AcquireOptions {
  return {
    name: model,
    contextLength: context_length ?? null,
    ttlMs: ttl == null ? null : ttl * 1_000,
    ...(draft !== null && { settings: { draft } }),
  };
}
