import { assert } from "../lib/assert.ts";
import { createArchive } from "./archive/archive-pair.ts";
import { BackgroundSaving } from "./archive/background-saving.ts";
import type { GeneratorOptions } from "./generator-options.ts";
import { KvCache } from "./kv-cache.ts";
import { PrefixReuse } from "./prefix-reuse.ts";
import { Scheduler } from "./scheduler.ts";
import { Speculator } from "./speculation/speculator.ts";

/** What all jobs of a generator share: the books of its KV cache, and who decides about them. */
export interface GeneratorParts {
  kv: KvCache;
  reuse: PrefixReuse;
  scheduler: Scheduler;
  /** null = stored prefixes are kept nowhere else. */
  saving: BackgroundSaving | null;
  /** null = one token per step. */
  speculator: Speculator | null;
}

/** Chooses the parts by what the model's memory can do. */
export function createGeneratorParts(options: Omit<GeneratorOptions, "emit">): GeneratorParts {
  const { model, context, parallel, contextLength } = options;
  const { isRecurrent, isHybrid, slidingWindow } = model.facts;
  const windowed = slidingWindow > 0 && slidingWindow < context.contextLength;
  // Memory that cannot be cut can neither share a part nor take a guess back.
  const isDivisible = !isRecurrent && !isHybrid && !windowed;
  assert(contextLength <= context.contextLength, "a request fits into the KV cache");
  const kv = new KvCache(context, options.archive != null && isDivisible);
  const archive = createArchive(options, kv, isDivisible);
  const saving = archive === null ? null : new BackgroundSaving(archive, options.clock);
  const reuse = new PrefixReuse(kv, { isCuttable: isDivisible, archive });
  const draft = options.draft ?? null;
  assert(isDivisible || draft === null, "a draft model is loaded where guesses can be taken back");
  const speculator =
    isDivisible && (options.speculates || draft !== null)
      ? new Speculator(options.pieces, draft?.drafter)
      : null;
  const scheduler = new Scheduler(context, kv, reuse, { parallel, speculator });
  return { kv, reuse, scheduler, saving, speculator };
}
