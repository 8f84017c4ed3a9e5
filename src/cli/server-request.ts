import { Type, type Static, type TSchema } from "typebox";
import { Value } from "typebox/value";
import { EXIT, ExitError } from "./command.ts";
import type { Target } from "./server-client.ts";

/** Longest reply that is read. */
const MAX_REPLY_BYTES = 16 * 1024 * 1024;
/** For questions that a server answers at once. */
const TIMEOUT_MS = 10_000;

export interface ServerCall<S extends TSchema> {
  path: string;
  /** What the reply must look like; more fields may be there. */
  schema: S;
  /** Present = POST. */
  body?: Readonly<Record<string, unknown>>;
  /** null = as long as it takes. */
  timeoutMs?: number | null;
  /** The person's wish to stop waiting. */
  signal?: AbortSignal;
}

const ErrorBody = Type.Object({
  error: Type.Object({ message: Type.String(), code: Type.Optional(Type.Unknown()) }),
});

/**
 * A JSON document of the server, checked. What the server warns of beside it is passed on.
 * @throws ExitError unreachable when nothing answers in time, failed when it answers an error or
 * something else than it should; the signal's reason when that was aborted.
 */
export async function askServer<S extends TSchema>(
  target: Target,
  { schema, timeoutMs = TIMEOUT_MS, signal, ...call }: ServerCall<S>,
): Promise<Static<S>> {
  const timeout = timeoutMs === null ? null : AbortSignal.timeout(timeoutMs);
  const limits = [timeout, signal].filter((limit) => limit !== null && limit !== undefined);
  const response = await open(target, call, limits, signal);
  let text: string;
  try {
    text = await readText(response);
  } catch (error) {
    throw unanswered(target, error, signal);
  }
  const document = parse(text);
  if (!response.ok) throw refusal(response.status, text, document);
  const warning = response.headers.get("x-lmserver-warning");
  if (warning !== null) target.warn(decoded(warning));
  if (Value.Check(schema, document)) return document;
  throw foreign(target);
}

/**
 * Like `askServer`, for an answer that arrives in pieces. The signal ends it at any time.
 * @param call.beginsAtOnce a server that has not begun after ten seconds does not answer.
 */
export async function openStream(
  target: Target,
  call: {
    path: string;
    body?: Readonly<Record<string, unknown>>;
    signal: AbortSignal;
    beginsAtOnce?: boolean;
  },
): Promise<ReadableStream<Uint8Array>> {
  const late = new AbortController();
  const onLate = () => late.abort(new DOMException("It has not begun.", "TimeoutError"));
  const timer = call.beginsAtOnce === true ? setTimeout(onLate, TIMEOUT_MS) : undefined;
  const response = await open(target, call, [call.signal, late.signal], call.signal);
  clearTimeout(timer);
  const type = response.headers.get("content-type") ?? "";
  if (response.ok && response.body !== null && type.startsWith("text/event-stream"))
    return response.body;
  const text = await readText(response).catch(() => "");
  if (!response.ok) throw refusal(response.status, text, parse(text));
  throw foreign(target);
}

async function open(
  target: Target,
  { path, body }: { path: string; body?: Readonly<Record<string, unknown>> },
  limits: readonly AbortSignal[],
  wish: AbortSignal | undefined,
): Promise<Response> {
  const { url, apiKey, trace } = target;
  const method = body === undefined ? "GET" : "POST";
  const startMs = performance.now();
  const init = {
    method,
    headers: {
      // Tells a server that the fields are ours and not LM Studio's.
      "x-lmserver-client": "cli",
      ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.any([...limits]),
    redirect: "error" as const,
    // Bun would give up after five silent minutes; a model may take longer to load.
    timeout: false,
  };
  try {
    const response = await fetch(`${url}${path}`, init);
    trace(
      `${method} ${url}${path}: ${response.status} in ${Math.round(performance.now() - startMs)} ms`,
    );
    return response;
  } catch (error) {
    throw unanswered(target, error, wish);
  }
}

/** The body as text, at most 16 MiB of it. */
async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > MAX_REPLY_BYTES)
      throw new ExitError(EXIT.failed, "The server's reply is larger than 16 MiB.");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function unanswered({ url }: Target, error: unknown, wish: AbortSignal | undefined): unknown {
  if (error instanceof ExitError) return error;
  if (wish?.aborted === true) return wish.reason;
  const isLate = error instanceof Error && error.name === "TimeoutError";
  const hint = url.startsWith("http://127.") ? " Start one with: lmserver serve" : "";
  const message = isLate ? `${url} did not answer in time.` : `No server answers at ${url}.${hint}`;
  return new ExitError(EXIT.unreachable, message, {
    cause: error,
    ...(isLate && { code: "no_answer" }),
  });
}

function foreign({ url }: Target): ExitError {
  const message = `What answers at ${url} is no lmserver, or one of another version.`;
  return new ExitError(EXIT.failed, message, { code: "unexpected_reply" });
}

/** The server's own words, or the beginning of what came. */
function refusal(status: number, text: string, document: unknown): ExitError {
  const isOurs = Value.Check(ErrorBody, document);
  const said = isOurs ? document.error.message.slice(0, 2_000) : text.slice(0, 200);
  const hint = status === 401 ? " Give a key with --api-key or LM_API_TOKEN." : "";
  const code = isOurs && typeof document.error.code === "string" ? document.error.code : "failed";
  return new ExitError(EXIT.failed, `The server answered ${status}: ${said}${hint}`, { code });
}

/** Of a header's value, where all but printable ASCII is percent-encoded. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value; // not encoded so by whoever answers
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no schema takes it
  }
}
