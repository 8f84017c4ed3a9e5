import { Type, type Static } from "typebox";
import { LmError } from "../lib/errors.ts";
import type { CacheLoad, EngineStatus, SlotStatus } from "../protocol/events.ts";
import type { InstanceStatus, PoolManager } from "../pool/pool.ts";
import type { Server } from "./generation.ts";
import { jsonResponse } from "./json-response.ts";
import type { GetRoute } from "./route.ts";

/** An engine answers between two steps; one that takes longer is shown by what is known without it. */
const PATIENCE_MS = 1_000;

const count = (description: string) => Type.Integer({ minimum: 0, description });

const Slot = Type.Object({
  state: Type.Enum(["waiting", "prefill", "decode"], {
    description: "waiting = for another request that computes the same prefix",
  }),
  job: count("Number of the request within its engine"),
  choice: count("Which of its `n` answers"),
  prompt_tokens: count("Length of the prompt"),
  cached_tokens: count("Prompt tokens that were found rather than computed"),
  computed_tokens: count("Tokens of prompt and answer in the KV cache"),
  generated_tokens: count("Tokens of the answer"),
  miss: Type.Union(
    [Type.Object({ reason: Type.String(), at_token: Type.Integer() }), Type.Null()],
    {
      description: "Where reuse of stored prefixes ended, and why",
    },
  ),
});

const Totals = Type.Record(Type.String(), Type.Integer());

const Cache = Type.Object({
  stored_sequences: count("Finished sequences still in the KV cache"),
  tree_nodes: count("Nodes of the tree they form"),
  tree_tokens: count("Tokens in it; shared ones count once"),
  archived_blocks: count("Pieces kept outside the KV cache"),
  archived_bytes: count("Their size, in memory or on disk"),
  hits: Totals,
  misses: Totals,
});

const Engine = Type.Object({
  model: Type.String({ description: "Identifier of the instance" }),
  answers: Type.Boolean({
    description: "false = its engine said nothing for a second: slots are not known",
  }),
  parallel: count("Slots"),
  queued: count("Requests that wait for a slot"),
  kv_cells: count("Tokens the KV cache holds"),
  kv_cells_used: count("Of them in use"),
  saved_tokens: count("Prompt tokens found instead of computed, since the model was loaded"),
  slots: Type.Array(Slot, { description: "Slots at work, oldest request first" }),
  cache: Type.Union([Cache, Type.Null()]),
  speculation: Type.Object({
    drafted_tokens: count("Tokens that were guessed ahead, since the model was loaded"),
    accepted_tokens: count("Of them, those that were right"),
  }),
});
type Engine = Static<typeof Engine>;

const EXAMPLE: Engine = {
  model: "demo",
  answers: true,
  parallel: 4,
  queued: 0,
  kv_cells: 2_048,
  kv_cells_used: 139,
  saved_tokens: 96,
  slots: [
    {
      state: "decode",
      job: 7,
      choice: 0,
      prompt_tokens: 120,
      cached_tokens: 96,
      computed_tokens: 139,
      generated_tokens: 20,
      miss: { reason: "differs", at_token: 96 },
    },
  ],
  cache: {
    stored_sequences: 1,
    tree_nodes: 1,
    tree_tokens: 101,
    archived_blocks: 0,
    archived_bytes: 0,
    hits: { running: 0, stored: 1, archive: 0 },
    misses: { off: 0, empty: 1, differs: 0, whole: 0, lost: 0, full: 0, gone: 0 },
  },
  speculation: { drafted_tokens: 40, accepted_tokens: 31 },
};

/** GET /api/lmserver/slots: what each engine computes at this moment; an extension of our own. */
export function slotsRoute({ deps }: Server): GetRoute {
  return {
    method: "GET",
    path: "/api/lmserver/slots",
    permission: "server:admin",
    doc: {
      summary: "Show the slots and the prefix cache of each loaded model",
      tag: "System",
      response: {
        description: "Models whose engine is ready, by identifier. No texts.",
        schema: Type.Object({ models: Type.Array(Engine) }),
        example: { models: [EXAMPLE] },
      },
    },
    async answer({ request }) {
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE_MS)]);
      const engines = await Promise.all(
        deps.pool
          .instances()
          .filter(({ state }) => state === "ready")
          .map(async (instance) => await inspect(deps.pool, instance, signal)),
      );
      const models = engines.flat().toSorted((a, b) => (a.model < b.model ? -1 : 1));
      return jsonResponse({ models });
    },
  };
}

/** The engine's own answer, or what is known without it. Nothing of one that has just ended. */
async function inspect(
  pool: Pick<PoolManager, "inspect">,
  instance: InstanceStatus,
  signal: AbortSignal,
): Promise<Engine[]> {
  try {
    const status = await pool.inspect(instance.identifier, signal);
    return status === null ? [] : [toEngine(instance, status)];
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") {
      return [withoutAnswer(instance)];
    }
    if (error instanceof LmError) return [];
    throw error;
  }
}

/** What the pool knows of an engine by its last step. */
function withoutAnswer({ identifier, parallel, queued, load }: InstanceStatus): Engine {
  return {
    model: identifier,
    answers: false,
    parallel,
    queued,
    kv_cells: load?.kvCells ?? 0,
    kv_cells_used: load?.kvCellsUsed ?? 0,
    saved_tokens: load?.cachedTokens ?? 0,
    slots: [],
    cache: null,
    speculation: {
      drafted_tokens: load?.speculation?.draftedTokens ?? 0,
      accepted_tokens: load?.speculation?.acceptedTokens ?? 0,
    },
  };
}

function toEngine({ identifier, load }: InstanceStatus, status: EngineStatus): Engine {
  const { slots, parallel, queued, kvCells, kvCellsUsed, cache, speculation } = status;
  return {
    model: identifier,
    answers: true,
    parallel,
    queued,
    kv_cells: kvCells,
    kv_cells_used: kvCellsUsed,
    saved_tokens: load?.cachedTokens ?? 0,
    slots: slots.map(toSlot),
    cache: toCache(cache),
    speculation: {
      drafted_tokens: speculation.draftedTokens,
      accepted_tokens: speculation.acceptedTokens,
    },
  };
}

function toSlot(slot: SlotStatus): Static<typeof Slot> {
  const { miss } = slot;
  return {
    state: slot.state,
    job: slot.jobId,
    choice: slot.choice,
    prompt_tokens: slot.promptTokens,
    cached_tokens: slot.cachedTokens,
    computed_tokens: slot.computedTokens,
    generated_tokens: slot.generatedTokens,
    miss: miss === null ? null : { reason: miss.reason, at_token: miss.atToken },
  };
}

function toCache(cache: CacheLoad): Static<typeof Cache> {
  return {
    stored_sequences: cache.storedSequences,
    tree_nodes: cache.treeNodes,
    tree_tokens: cache.treeTokens,
    archived_blocks: cache.archivedBlocks,
    archived_bytes: cache.archivedBytes,
    hits: { ...cache.hits },
    misses: { ...cache.misses },
  };
}
