import type { LogFields } from "../lib/log.ts";
import {
  ANSWER_SLOWEST_BYTES_PER_SECOND,
  IDLE_TIMEOUT_SECONDS,
  MAX_IDLE_TIMEOUT_SECONDS,
} from "../lib/limits.ts";
import type { Connection } from "./deps.ts";
import type { Caller } from "./permission.ts";

/** How a generation ended: refused = it failed before it began, error = later. */
export type Outcome = "done" | "cancelled" | "refused" | "error";

export interface RequestFacts {
  model: string | null;
  promptTokens: number;
  completionTokens: number;
  /** The worst of its generations; null = it had none. */
  outcome: Outcome | null;
}

/** One HTTP request on its way through the server. */
export interface RequestContext {
  /** `req_` and 32 hexadecimal digits; the client sees it in two headers. */
  readonly id: string;
  /** As it arrived: its signal fires when the client leaves. */
  readonly request: Request;
  /** Path without query, slashes normalised, still percent-encoded. */
  readonly path: string;
  /** Of the peer; "127.0.0.1" without a connection. */
  readonly address: string;
  readonly startMs: number;
  readonly connection: Connection | null;
  /** Facts for the access log, filled by the route. */
  readonly facts: RequestFacts;
  /** What of the request was honoured in part only; the client reads it in a header. */
  readonly warnings: string[];
  /** Who asks; known before the route answers. */
  caller: Caller;
  /** Template of the route that answers, null until it is known. */
  route: string | null;
  /** The answer is a stream that ends later and writes its own log line. */
  isStreaming: boolean;
}

/**
 * Lets a computed answer take its time: Bun would close a silent connection. Not for streams, which
 * are never silent: their readers could stall for ever.
 */
export function holdOpen({ connection, request }: RequestContext): void {
  connection?.timeout(request, 0);
}

/**
 * Ends what `holdOpen` began, which Bun keeps for all that follows on the connection. A steady reader
 * looks idle for as long as it drains what the kernel took at once, several megabytes.
 */
export function closeWhenIdle({ connection, request }: RequestContext, bytes: number): void {
  const drainSeconds = Math.floor(bytes / ANSWER_SLOWEST_BYTES_PER_SECOND);
  const seconds = Math.min(MAX_IDLE_TIMEOUT_SECONDS, IDLE_TIMEOUT_SECONDS + drainSeconds);
  connection?.timeout(request, seconds);
}

/** The fixed keys of an access log line. Nothing of the bodies. */
export function accessFields(
  context: RequestContext,
  answer: { status: number; bytes: number; ms: number },
): LogFields {
  const sentId = context.request.headers.get("x-request-id");
  return {
    method: context.request.method,
    path: context.path.slice(0, 256),
    status: answer.status,
    ms: Math.round(answer.ms),
    bytes: answer.bytes,
    requestId: context.id,
    model: context.facts.model,
    promptTokens: context.facts.promptTokens,
    completionTokens: context.facts.completionTokens,
    outcome: context.facts.outcome,
    client: context.address,
    ...(sentId !== null && { clientRequestId: sentId.slice(0, 128) }),
  };
}

/** Characters of a warning header at most. */
const MAX_WARNING_LENGTH = 1_024;

/** Warnings as the value of one header: printable ASCII, the rest percent-encoded, bounded. */
export function warningHeader({ warnings }: RequestContext): string | null {
  if (warnings.length === 0) return null;
  const text = warnings.join("; ").slice(0, MAX_WARNING_LENGTH).toWellFormed();
  let header = "";
  for (const char of text) {
    const encoded = /[ -$&-~]/.test(char) ? char : encodeURIComponent(char);
    if (header.length + encoded.length > MAX_WARNING_LENGTH) break;
    header += encoded;
  }
  return header;
}
