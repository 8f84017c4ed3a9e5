import type { CatalogModel } from "../../catalog/model.ts";
import { modelCapabilities } from "../../chat/model-capabilities.ts";
import { resolveModel } from "../../chat/resolve-model.ts";
import { invalidRequest } from "../../lib/errors.ts";
import type { InstanceStatus, Lease } from "../../pool/pool.ts";
import type { Deps } from "../deps.ts";
import type { ExtendedChat } from "./chat.schema.ts";
import { checkContextLength } from "./load.ts";
import { findModel, readyInstances } from "./model-facts.ts";

/** Who answers a chat, and whether it must be loaded first. */
export interface ChatModel {
  model: CatalogModel;
  /** Identifier of the instance that is expected to answer. */
  instanceId: string;
  needsLoad: boolean;
  /** The instance in the way of a larger context; it is idle and may go. */
  outgrown: string | null;
}

/**
 * The model a chat names, with the context it wants.
 * @throws LmError model_not_found, model_not_loaded, unsupported_model; invalid_request for a
 *   context that cannot be had or thinking that cannot be chosen.
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
  const instances = pool.instances();
  // The key means any instance of the model, another identifier that one.
  const isNamed = ({ identifier }: InstanceStatus): boolean =>
    identifier === request.model && identifier !== model.key;
  const ready = readyInstances(instances, model);
  const pending = instances.find(({ model: { path } }) => path === model.path);
  const [largest] = ready.toSorted((a, b) => contextOf(b) - contextOf(a));
  const chosen = ready.find(isNamed) ?? largest;
  const instanceId = chosen?.identifier ?? pending?.identifier ?? model.key;
  if (!chosen) return { model, instanceId, needsLoad: true, outgrown: null };
  if (wanted === null || contextOf(chosen) >= wanted) {
    return { model, instanceId, needsLoad: false, outgrown: null };
  }
  if (!chosen.jit || chosen.running > 0 || chosen.queued > 0) {
    throw invalidRequest(
      "context_length",
      "invalid_value",
      `Invalid 'context_length': the model is loaded with a context of ${contextOf(chosen)} tokens ` +
        `and ${chosen.jit ? "in use" : "was loaded on purpose"}. Unload it first.`,
    );
  }
  return { model, instanceId, needsLoad: true, outgrown: chosen.identifier };
}

const contextOf = ({ info }: InstanceStatus): number => info?.contextLength ?? 0;

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

/** Loads the model for a chat. Release the lease when the answer is complete. */
export async function loadChatModel(
  { pool }: Deps,
  { model, outgrown }: ChatModel,
  request: ExtendedChat,
  signal: AbortSignal,
): Promise<Lease> {
  if (outgrown !== null) await pool.unload(outgrown, { force: false });
  const { ttl, context_length: contextLength } = request;
  return await pool.acquire(model, signal, {
    name: request.model,
    ttlMs: ttl == null ? null : ttl * 1_000,
    ...(contextLength != null && { settings: { contextLength } }),
  });
}
