import { createHash, timingSafeEqual } from "node:crypto";
import type { TokenFile } from "../config/tokens.ts";
import type { Clock } from "../lib/clock.ts";
import { type ErrorDetails, LmError } from "../lib/errors.ts";
import { MAX_AUTH_ADDRESSES, MAX_AUTH_FAILURES_PER_MINUTE } from "../lib/limits.ts";
import { isLoopbackAddress } from "./host.ts";
import { ANYBODY, type Caller } from "./permission.ts";

const MINUTE_MS = 60_000;

const digest = (text: string): Buffer => createHash("sha256").update(text, "utf8").digest();

export interface Credentials {
  /** May do everything. */
  keys: readonly string[];
  tokens: Pick<TokenFile, "find"> | null;
  /** false = a wrong or missing key is no reason to refuse. */
  isRequired: boolean;
}

/** Keys and tokens of the server. */
export class Authenticator {
  readonly #keys: readonly { digest: Buffer; caller: Caller }[];
  readonly #tokens: Credentials["tokens"];
  readonly #isRequired: boolean;
  readonly #clock: Clock;
  /** Failures of this minute by address, oldest address first. */
  readonly #failures = new Map<string, { count: number; sinceMs: number }>();

  constructor({ keys, tokens, isRequired }: Credentials, clock: Clock) {
    this.#keys = keys.map((key) => ({
      digest: digest(key),
      // Stored beside what the key's owner creates: a hash of its own kind, and only a part of it.
      caller: { id: `key-${digest(`owner ${key}`).toString("hex", 0, 8)}`, permissions: null },
    }));
    this.#tokens = tokens;
    this.#isRequired = isRequired;
    this.#clock = clock;
  }

  /**
   * Checks `Authorization: Bearer` or `x-api-key`. Both may be sent when they agree.
   * @param address Of the peer; loopback is never throttled.
   * @throws LmError unauthorized, or rate_limited after too many failures of that address.
   */
  check(headers: Headers, address: string): Caller {
    if (!this.#isRequired) return ANYBODY;
    this.#throttle(address);
    const token = readToken(headers);
    const caller = typeof token === "string" ? this.#find(token) : null;
    if (caller !== null) return caller;
    this.#countFailure(address);
    const reason = token === DISAGREE ? "disagree" : token === null ? "missing" : "wrong";
    throw new LmError("unauthorized", { reason }, REFUSALS[reason]);
  }

  /** Compares with every key, so that the time taken says nothing about which one came close. */
  #find(text: string): Caller | null {
    const offered = digest(text);
    let known: Caller | null = null;
    for (const key of this.#keys) {
      if (timingSafeEqual(offered, key.digest)) known = key.caller;
    }
    return known ?? this.#findToken(text);
  }

  /** A token file that cannot be read lets nobody in, and its place is not told. */
  #findToken(text: string): Caller | null {
    try {
      const token = this.#tokens?.find(text) ?? null;
      return token === null ? null : { id: token.id, permissions: token.permissions };
    } catch (cause) {
      throw new LmError("internal", {}, "The server cannot read its tokens.", { cause });
    }
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

/** Two headers that name different keys. */
const DISAGREE = Symbol("disagree");

/** The key that was sent; an empty header is none. @returns null when there is none. */
function readToken(headers: Headers): string | null | typeof DISAGREE {
  const authorization = headers.get("authorization") || null;
  const apiKey = headers.get("x-api-key") || null;
  const bearer = /^Bearer +(\S(?:.*\S)?)$/i.exec(authorization ?? "")?.[1] ?? null;
  if (authorization !== null && apiKey !== null && bearer !== apiKey) return DISAGREE;
  const key = bearer ?? apiKey;
  return key === null ? null : inUtf8(key);
}

/** Headers arrive as bytes of Latin-1, in which clients write UTF-8. */
function inUtf8(header: string): string {
  const text = Buffer.from(header, "latin1").toString("utf8");
  return text.includes("\ufffd") ? header : text;
}

const REFUSALS: Readonly<Record<ErrorDetails["unauthorized"]["reason"], string>> = {
  missing:
    "An API key is required. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'.",
  wrong: "Incorrect API key provided.",
  disagree:
    "The headers 'Authorization' and 'x-api-key' do not hold the same key. Send only one of them.",
};
