import type { InstanceStatus } from "../pool/pool.ts";
import type { Counter, Registry } from "./metrics.ts";

/** What the metric calls the reasons of the engine. */
const REASONS = {
  off: "caching was off",
  empty: "nothing stored",
  differs: "first differing token",
  whole: "memory cannot be cut",
  lost: "not readable any more",
  full: "no room",
  gone: "evicted",
} as const;

/** Prefix caches of the loaded models. Totals are the engine's: they start anew with it. */
export class CacheMetrics {
  readonly #sizes: readonly (readonly [
    Counter,
    "storedSequences" | "treeNodes" | "treeTokens" | "archivedBlocks" | "archivedBytes",
  ])[];
  readonly #saved: Counter;
  readonly #hits: Counter;
  readonly #misses: Counter;

  constructor(registry: Registry) {
    const gauge = (name: string, help: string): Counter =>
      registry.gauge(`lmserver_prefix_cache_${name}`, help);
    this.#sizes = [
      [gauge("sequences", "Stored sequences in the KV cache."), "storedSequences"],
      [gauge("tree_nodes", "Nodes of the tree of stored sequences."), "treeNodes"],
      [gauge("tree_tokens", "Tokens in that tree; shared ones count once."), "treeTokens"],
      [
        gauge(
          "archive_blocks",
          "Pieces of sequences outside the KV cache, as far as the engine knows.",
        ),
        "archivedBlocks",
      ],
      [gauge("archive_bytes", "Their size, in memory or on disk."), "archivedBytes"],
    ];
    const total = (name: string, help: string): Counter =>
      registry.counter(`lmserver_prefix_cache_${name}_total`, help);
    this.#saved = total("saved_tokens", "Prompt tokens found instead of computed.");
    this.#hits = total("hits", "Requests that reused tokens, by where these were.");
    this.#misses = total("misses", "Requests that found less than they might have, by reason.");
  }

  read(instances: readonly InstanceStatus[]): void {
    for (const [gauge] of this.#sizes) gauge.clear();
    for (const gauge of [this.#saved, this.#hits, this.#misses]) gauge.clear();
    for (const { identifier: model, load } of instances) {
      if (load === null) continue;
      this.#saved.set(load.cachedTokens, { model });
      const { cache } = load;
      if (cache === undefined) continue;
      for (const [gauge, field] of this.#sizes) gauge.set(cache[field], { model });
      for (const [source, count] of Object.entries(cache.hits)) {
        this.#hits.set(count, { model, source });
      }
      for (const [reason, text] of Object.entries(REASONS)) {
        this.#misses.set(cache.misses[reason as keyof typeof REASONS], { model, reason: text });
      }
    }
  }
}
