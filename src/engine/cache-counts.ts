import type { CacheLoad, HitSource, MissReason } from "../protocol/events.ts";

/** Hits and misses of the prefix cache since the start. */
export class CacheCounts {
  readonly #hits: Record<HitSource, number> = { running: 0, stored: 0, archive: 0 };
  readonly #misses: Record<MissReason, number> = {
    off: 0,
    empty: 0,
    differs: 0,
    whole: 0,
    lost: 0,
    full: 0,
    gone: 0,
  };
  #version = 0;

  /** Grows with every count. */
  get version(): number {
    return this.#version;
  }

  hit(source: HitSource): void {
    this.#hits[source]++;
    this.#version++;
  }

  miss(reason: MissReason): void {
    this.#misses[reason]++;
    this.#version++;
  }

  snapshot(): Pick<CacheLoad, "hits" | "misses"> {
    return { hits: { ...this.#hits }, misses: { ...this.#misses } };
  }
}
