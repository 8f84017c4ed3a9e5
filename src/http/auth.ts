import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import { MAX_AUTH_ADDRESSES, MAX_AUTH_FAILURES_PER_MINUTE } from "../lib/limits.ts";
import { isLoopbackAddress } from "./host.ts";

const MINUTE_MS = 60_000;

const digest = (text: string): Buffer => createHash("sha256").update(text, "utf8").digest();

/** Keys of the server. Without any, everybody may pass. */
export class Authenticator {
  readonly #digests: readonly Buffer[];
  readonly #clock: Clock;
  /** Failures of this minute by address, oldest address first. */
  readonly #failures = new Map<string, { count: number; sinceMs: number }>();

  constructor(keys: readonly string[], clock: Clock) {
    this.#digests = keys.map(digest);
    this.#clock = clock;
  }

  /**
   * Checks `Authorization: Bearer` or `x-api-key`. Both may be sent when they agree.
   * @param address Of the peer; loopback is never throttled.
   * @throws LmError unauthorized, or rate_limited after too many failures of that address.
   */
  check(headers: Headers, address: string): void {
    if (this.#digests.length === 0) return;
    this.#throttle(address);
    const token = readToken(headers);
    if (token !== null && this.#isKnown(token)) return;
    this.#countFailure(address);
    throw new LmError(
      "unauthorized",
      {},
      token === null
        ? "An API key is required. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."
        : "Incorrect API key provided.",
    );
  }

  /** Compares with every key, so that the time taken says nothing about which one came close. */
  #isKnown(token: string): boolean {
    const offered = digest(token);
    let known = false;
    for (const key of this.#digests) {
      if (timingSafeEqual(offered, key)) known = true;
    }
    return known;
  }

  #throttle(address: string): void {
    const failures = this.#failures.get(address);
    if (!failures || failures.count < MAX_AUTH_FAILURES_PER_MINUTE) return;
    const waitMs = failures.sinceMs + MINUTE_MS - this.#clock.monotonicMs();
    if (waitMs <= 0) {
      this.#failures.delete(address);
      return;
    }
    throw new LmError(
      "rate_limited",
      { retryAfterMs: waitMs },
      "Too many requests with a wrong API key. Try again later.",
    );
  }

  #countFailure(address: string): void {
    if (isLoopbackAddress(address)) return;
    const nowMs = this.#clock.monotonicMs();
    const failures = this.#failures.get(address);
    if (failures && nowMs - failures.sinceMs < MINUTE_MS) {
      failures.count++;
      return;
    }
    this.#failures.delete(address);
    const oldest = this.#failures.keys().next();
    if (this.#failures.size >= MAX_AUTH_ADDRESSES && !oldest.done)
      this.#failures.delete(oldest.value);
    this.#failures.set(address, { count: 1, sinceMs: nowMs });
  }
}

/** @returns null when there is none, or when the two headers disagree. */
function readToken(headers: Headers): string | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? null;
  const apiKey = headers.get("x-api-key");
  if (headers.has("authorization") && apiKey !== null && bearer !== apiKey) return null;
  return bearer ?? apiKey;
}
