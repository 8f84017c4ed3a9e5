import type { Clock } from "../lib/clock.ts";
import { invalidRequest, LmError } from "../lib/errors.ts";
import {
  BODY_DEADLINE_MS,
  BODY_SLOWEST_BYTES_PER_SECOND,
  MAX_BODIES_IN_MEMORY_BYTES,
} from "../lib/limits.ts";
import { jsonErrorPlace } from "./json-error-place.ts";
import { scanJson } from "./json-scan.ts";

/** Bytes of request bodies held now, over all requests. */
export class BodyBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes = MAX_BODIES_IN_MEMORY_BYTES) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** @throws LmError overloaded when the bytes do not fit beside the others'. */
  take(bytes: number): void {
    if (this.#usedBytes + bytes > this.#limitBytes) {
      throw new LmError(
        "overloaded",
        { retryAfterMs: 1_000 },
        "The server holds too many request bodies at the moment.",
      );
    }
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

export interface BodyLimits {
  maxBytes: number;
  budget: BodyBudget;
  clock: Clock;
}

/**
 * The request's body as a JSON object, read strictly: media type, size, UTF-8, nesting, syntax.
 * A BOM is skipped; of duplicate keys the last one wins.
 *
 * @returns The object and the bytes taken from the budget, which the caller gives back.
 */
export async function readJsonObject(
  request: Request,
  limits: BodyLimits,
): Promise<{ value: Record<string, unknown>; bytes: number }> {
  checkMediaType(request.headers);
  const bytes = await readBytes(request, limits);
  try {
    return { value: parseObject(bytes), bytes: bytes.length };
  } catch (error) {
    limits.budget.give(bytes.length);
    throw error;
  }
}

function checkMediaType(headers: Headers): void {
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.trim().toLowerCase() !== "identity") {
    throw unsupportedType("Compressed request bodies are not supported. Send plain JSON.");
  }
  const type = headers.get("content-type");
  if (type === null) return;
  const essence = (type.split(";", 1)[0] ?? "").trim().toLowerCase();
  if (essence === "application/json" || /^[\w.+-]+\/[\w.+-]+\+json$/.test(essence)) return;
  const shown = essence.slice(0, 64).replace(/[^\w./+-]/g, "?");
  throw unsupportedType(
    `Unsupported content type: '${shown}'. This API accepts 'application/json'. With curl, add ` +
      "-H 'Content-Type: application/json'.",
  );
}

function unsupportedType(message: string): LmError {
  return invalidRequest(null, "unsupported_content_type", message);
}

async function readBytes(
  request: Request,
  { maxBytes, budget, clock }: BodyLimits,
): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > maxBytes) throw tooLarge(maxBytes);
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let total = 0;
  let late = false;
  const deadlineMs =
    BODY_DEADLINE_MS + ((declared || maxBytes) / BODY_SLOWEST_BYTES_PER_SECOND) * 1000;
  const cancelDeadline = clock.after(deadlineMs, () => {
    late = true;
    void reader.cancel().catch(() => undefined);
  });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (total + value.length > maxBytes) throw tooLarge(maxBytes);
      budget.take(value.length);
      total += value.length;
      chunks.push(value);
    }
    if (late) throw invalidJson("the body did not arrive in time");
  } catch (error) {
    budget.give(total);
    void reader.cancel().catch(() => undefined);
    throw error;
  } finally {
    cancelDeadline();
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, total);
}

function tooLarge(limitBytes: number): LmError {
  return new LmError(
    "request_too_large",
    { limitBytes },
    `The request body is larger than the limit of ${limitBytes} bytes.`,
  );
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length === 0) throw invalidJson("it is empty");
  scanJson(bytes);
  const value = parse(decode(bytes));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const kind = Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`;
    throw invalidRequest(
      null,
      "invalid_type",
      `Invalid type for the request body: expected an object, but got ${kind} instead.`,
    );
  }
  return value as Record<string, unknown>;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalidJson("it is not valid UTF-8", error);
  }
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const place = text.length > MAX_SEARCHED_LENGTH ? null : jsonErrorPlace(text);
    const where = place === null ? "" : ` (line ${place.line}, column ${place.column})`;
    throw invalidJson(parserMessage(error) + where, error);
  }
}

/** Texts up to this are read once more to tell where they break: about 20 ms. */
const MAX_SEARCHED_LENGTH = 1_048_576;

/** Of what the parser quotes: `undefined` is told, a secret is longer. */
const MAX_QUOTED_LENGTH = 9;

/** What the parser says, without longer pieces of the body. */
function parserMessage(error: unknown): string {
  if (!(error instanceof SyntaxError)) return "it is too complex";
  return error.message.replace(/"(.*)"/s, (quoted, piece: string) =>
    piece.length > MAX_QUOTED_LENGTH ? "(not shown)" : quoted,
  );
}

function invalidJson(reason: string, cause?: unknown): LmError {
  return invalidRequest(
    null,
    "invalid_json",
    `We could not parse the JSON body of your request: ${reason}.`,
    { cause },
  );
}
