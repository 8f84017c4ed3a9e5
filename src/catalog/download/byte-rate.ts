const WINDOW_MS = 5_000;
const BUCKET_MS = 250;

/** Bytes per second over the last seconds. Counts silence: a stalled transfer falls to 0. */
export class ByteRate {
  #buckets: { startMs: number; bytes: number }[] = [];
  #startedMs: number;

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
  }

  add(bytes: number, nowMs: number): void {
    const last = this.#buckets.at(-1);
    if (last !== undefined && nowMs - last.startMs < BUCKET_MS) last.bytes += bytes;
    else this.#buckets.push({ startMs: nowMs, bytes });
    this.#forget(nowMs);
  }

  perSecond(nowMs: number): number {
    this.#forget(nowMs);
    const bytes = this.#buckets.reduce((sum, bucket) => sum + bucket.bytes, 0);
    const spanMs = Math.min(WINDOW_MS, Math.max(BUCKET_MS, nowMs - this.#startedMs));
    return (bytes / spanMs) * 1_000;
  }

  #forget(nowMs: number): void {
    const oldest = nowMs - WINDOW_MS;
    while ((this.#buckets[0]?.startMs ?? oldest) < oldest) this.#buckets.shift();
  }
}
