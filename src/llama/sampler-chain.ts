import { ptr } from "bun:ffi";
import { AssertionError, assert, defined } from "../lib/assert.ts";
import type { SamplerName, Sampling } from "../protocol/sampling.ts";
import { addressOf } from "./library.ts";
import type { ModelHost } from "./model-host.ts";
import { RANDOM_SEED } from "./structs.ts";
import type { NativePointer } from "./native-pointer.ts";

/** Candidates considered by mirostat 1 for its estimate; the paper's choice. */
const MIROSTAT_M = 100;

/** The samplers in front of the choice, and whether a draw follows. */
export interface ChainPlan {
  /** Samplers that a request leaves switched on, in order. */
  names: SamplerName[];
  /** `argmax`: no sampler draws; the best of what the names leave is taken. */
  draw: "argmax" | "dist" | "adaptive" | "mirostat1" | "mirostat2";
  seed: number;
  /** Tokens of history that matter: 0 when no sampler looks back. */
  historyLength: number;
  /** How many of the best candidates can be chosen, after penalties; null when all can. */
  bestCount: number | null;
}

/**
 * Which samplers a request needs. Greedy keeps only those that change which logit is largest;
 * mirostat replaces the truncating ones. Those in their off position are left out.
 */
export function planChain(sampling: Sampling, choice: number, contextLength: number): ChainPlan {
  const penalties = penaltyWindow(sampling, contextLength);
  const dry = dryWindow(sampling, contextLength);
  const seed = sampling.seed === null ? RANDOM_SEED : (sampling.seed + choice) % RANDOM_SEED;
  const active: Record<SamplerName, boolean> = {
    penalties: penalties > 0,
    dry: dry > 0,
    top_n_sigma: sampling.topNSigma >= 0,
    top_k: sampling.topK > 0,
    typ_p: sampling.typicalP < 1,
    top_p: sampling.topP < 1,
    min_p: sampling.minP > 0,
    xtc: sampling.xtcProbability > 0 && sampling.xtcThreshold <= 0.5,
    temperature: true,
    // It draws, so it can only stand at the end, whatever the order says.
    adaptive_p: false,
  };
  const switchedOn = sampling.samplers.filter((name) => active[name]);
  const lookback = (names: readonly SamplerName[]) =>
    Math.max(names.includes("penalties") ? penalties : 0, names.includes("dry") ? dry : 0);
  if (sampling.mirostat !== 0 && sampling.temperature > 0) {
    const draw = sampling.mirostat === 1 ? "mirostat1" : "mirostat2";
    return { names: [], draw, seed, historyLength: 0, bestCount: null };
  }
  if (sampling.temperature <= 0) {
    const names = switchedOn.filter((name) => name === "penalties" || name === "dry");
    return { names, draw: "argmax", seed, historyLength: lookback(names), bestCount: 1 };
  }
  const adaptive = sampling.samplers.includes("adaptive_p") && sampling.adaptiveTarget >= 0;
  const historyLength = lookback(switchedOn);
  const draw = adaptive ? "adaptive" : "dist";
  const bestCount = firstTruncation(switchedOn) === "top_k" ? sampling.topK : null;
  return { names: switchedOn, draw, seed, historyLength, bestCount };
}

/** The first sampler that looks at candidates other than those of the history. */
function firstTruncation(names: readonly SamplerName[]): SamplerName | undefined {
  return names.find((name) => name !== "penalties" && name !== "dry");
}

function penaltyWindow(sampling: Sampling, contextLength: number): number {
  const { repeatPenalty, presencePenalty, frequencyPenalty, repeatLastN } = sampling;
  if (repeatPenalty === 1 && presencePenalty === 0 && frequencyPenalty === 0) return 0;
  return repeatLastN < 0 ? contextLength : repeatLastN;
}

function dryWindow(sampling: Sampling, contextLength: number): number {
  if (sampling.dryMultiplier === 0 || sampling.dryBase < 1) return 0;
  return sampling.dryPenaltyLastN < 0 ? contextLength : sampling.dryPenaltyLastN;
}

/** Builds the native chain of a plan; the caller frees it. Null when nothing stands before argmax. */
export function buildChain(
  model: ModelHost,
  sampling: Sampling,
  plan: ChainPlan,
  contextLength: number,
): NativePointer | null {
  if (plan.draw === "argmax" && plan.names.length === 0) return null;
  const { llama, shim } = model.library;
  const chain = defined(
    shim.lm_create_chain(addressOf(llama.llama_sampler_chain_init)),
    "a sampler chain can be created",
  );
  const add = (sampler: NativePointer | null) => {
    assert(sampler !== null, "a sampler can be created");
    llama.llama_sampler_chain_add(chain, sampler);
  };
  for (const name of plan.names)
    add(createSampler(model, sampling, name, plan.seed, contextLength));
  const { mirostatTau: tau, mirostatEta: eta, temperature } = sampling;
  switch (plan.draw) {
    case "argmax":
      break;
    case "dist":
      add(llama.llama_sampler_init_dist(plan.seed));
      break;
    case "adaptive":
      add(
        llama.llama_sampler_init_adaptive_p(
          sampling.adaptiveTarget,
          sampling.adaptiveDecay,
          plan.seed,
        ),
      );
      break;
    case "mirostat1":
      add(llama.llama_sampler_init_temp(temperature));
      add(
        llama.llama_sampler_init_mirostat(model.vocabulary.size, plan.seed, tau, eta, MIROSTAT_M),
      );
      break;
    case "mirostat2":
      add(llama.llama_sampler_init_temp(temperature));
      add(llama.llama_sampler_init_mirostat_v2(plan.seed, tau, eta));
      break;
  }
  return chain;
}

function createSampler(
  model: ModelHost,
  sampling: Sampling,
  name: SamplerName,
  seed: number,
  contextLength: number,
): NativePointer | null {
  const { llama } = model.library;
  const minKeep = Math.max(0, sampling.minKeep);
  switch (name) {
    case "penalties":
      return llama.llama_sampler_init_penalties(
        model.vocabulary.size,
        penaltyWindow(sampling, contextLength),
        sampling.repeatPenalty,
        sampling.frequencyPenalty,
        sampling.presencePenalty,
      );
    case "dry":
      return createDry(model, sampling, contextLength);
    case "top_n_sigma":
      return llama.llama_sampler_init_top_n_sigma(sampling.topNSigma);
    case "top_k":
      return llama.llama_sampler_init_top_k(sampling.topK);
    case "typ_p":
      return llama.llama_sampler_init_typical(sampling.typicalP, minKeep);
    case "top_p":
      return llama.llama_sampler_init_top_p(sampling.topP, minKeep);
    case "min_p":
      return llama.llama_sampler_init_min_p(sampling.minP, minKeep);
    case "xtc":
      return llama.llama_sampler_init_xtc(
        sampling.xtcProbability,
        sampling.xtcThreshold,
        minKeep,
        seed,
      );
    case "temperature":
      return llama.llama_sampler_init_temp_ext(
        sampling.temperature,
        sampling.dynatempRange,
        sampling.dynatempExponent,
      );
    default:
      throw new AssertionError("adaptive_p draws: it does not stand in front of the draw");
  }
}

function createDry(
  model: ModelHost,
  sampling: Sampling,
  contextLength: number,
): NativePointer | null {
  const breakers = sampling.drySequenceBreakers
    .filter((text) => text !== "" && !text.includes("\0"))
    .map((text) => new TextEncoder().encode(`${text}\0`));
  const table = 8 * Math.max(1, breakers.length);
  const strings = breakers.reduce((sum, bytes) => sum + bytes.length, 0);
  // One buffer for the pointers and what they point to; the sampler copies the texts.
  const buffer = new ArrayBuffer(table + strings);
  const address = ptr(buffer);
  const pointers = new BigUint64Array(buffer, 0, table / 8);
  let offset = table;
  for (const [index, bytes] of breakers.entries()) {
    new Uint8Array(buffer, offset, bytes.length).set(bytes);
    pointers[index] = BigInt(address + offset);
    offset += bytes.length;
  }
  return model.library.llama.llama_sampler_init_dry(
    model.vocabulary.pointer,
    sampling.dryMultiplier,
    sampling.dryBase,
    sampling.dryAllowedLength,
    dryWindow(sampling, contextLength),
    address,
    breakers.length,
  );
}
