import type { Deps } from "../deps.ts";
import type { TokenLogprob } from "../../protocol/events.ts";
import type { Usage, WireLogprob } from "./response.schema.ts";

/** What every chunk of one answer repeats. */
export interface Stamp {
  id: string;
  /** Unix seconds. */
  created: number;
  fingerprint: string;
}

/** Token counts of one answer while it grows; several choices and prompts add up. */
export class UsageCounter {
  promptTokens = 0;
  cachedTokens = 0;
  completionTokens = 0;
  reasoningTokens = 0;

  started(event: { promptTokens: number; cachedTokens: number }): void {
    this.promptTokens += event.promptTokens;
    this.cachedTokens += event.cachedTokens;
  }

  finished(event: { completionTokens: number; reasoningTokens: number }): void {
    this.completionTokens += event.completionTokens;
    this.reasoningTokens += event.reasoningTokens;
  }

  toWire(): Usage {
    return {
      prompt_tokens: this.promptTokens,
      completion_tokens: this.completionTokens,
      total_tokens: this.promptTokens + this.completionTokens,
      prompt_tokens_details: { cached_tokens: this.cachedTokens, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: this.reasoningTokens,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0,
      },
    };
  }
}

/** JSON has no infinity; clients read no null here. */
export const finiteLogprob = (logprob: number): number =>
  Number.isFinite(logprob) ? logprob : -9999;

export function toWireLogprob(token: TokenLogprob): WireLogprob {
  return {
    token: token.text,
    logprob: finiteLogprob(token.logprob),
    bytes: [...token.bytes],
    top_logprobs: token.top.map((candidate) => ({
      token: candidate.text,
      logprob: finiteLogprob(candidate.logprob),
      bytes: [...candidate.bytes],
    })),
  };
}

/** @param prefix "chatcmpl-" or "cmpl-". */
export function newStamp(deps: Pick<Deps, "newId" | "clock" | "version">, prefix: string): Stamp {
  return {
    id: deps.newId(prefix, 26),
    created: Math.floor(deps.clock.now() / 1000),
    fingerprint: `lmserver-${deps.version.version}-llamacpp-${deps.version.engine}`,
  };
}
