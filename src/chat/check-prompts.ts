import { assert } from "../lib/assert.ts";
import { renameParam } from "../lib/error-param.ts";
import { LmError } from "../lib/errors.ts";
import type { CheckPrompts, GenerateRequest } from "./events.ts";
import { type GenerateDeps, leaseModel, modelOf } from "./lease-model.ts";
import { rawPrompt } from "./raw-prompt.ts";
import type { Lease } from "../pool/pool.ts";

/** Refuses raw prompts as their generation would before it begins, without generating. */
export function createCheckPrompts(deps: GenerateDeps): CheckPrompts {
  return async function* checkPrompts(requests, signal) {
    const [first] = requests;
    if (first === undefined) return;
    const model = await modelOf(deps, first);
    yield { type: "resolved", key: model.key };
    const { lease } = await leaseModel(deps, model, first, signal);
    try {
      yield { type: "assigned", model: lease.identifier, key: lease.model.key };
      const checks = requests.map(async (request, index) => {
        try {
          await check(lease, request, signal);
        } catch (error) {
          throw renameParam(error, (param) => (param === "prompt" ? `prompt[${index}]` : param));
        }
      });
      await Promise.all(checks);
    } finally {
      lease.release();
    }
  };
}

async function check(lease: Lease, { input }: GenerateRequest, signal: AbortSignal): Promise<void> {
  assert(input.kind === "prompt", "a chat is checked by its rendering");
  const tokens = await lease.tokenize(rawPrompt(input.prompt), signal);
  const { contextLength } = lease.info;
  if (tokens.length < contextLength) return;
  throw new LmError(
    "context_length_exceeded",
    { promptTokens: tokens.length, contextLength, param: "prompt" },
    `'prompt' has ${tokens.length} tokens; the context holds ${contextLength}`,
  );
}
