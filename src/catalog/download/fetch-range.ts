import { LmError } from "../../lib/errors.ts";
import { systemCode } from "../../lib/system-code.ts";
import { openUrl } from "./open-url.ts";
import { retryAfterMs } from "./retry.ts";
import type { TransferTools } from "./transfer-tools.ts";
import {
  downloadFailed,
  FileChanged,
  RangesIgnored,
  TransientFailure,
} from "./transfer-failure.ts";

/** What is wanted of a file, and how to tell that it is still the same one. */
export interface RangeRequest {
  url: URL;
  start: number;
  /** Exclusive. */
  end: number;
  fileBytes: number;
  /** The strong ETag of the bytes already here; null = none yet. */
  etag: string | null;
  /** Told the strong ETag of the answer, if any; whether it is that of the bytes already here. */
  isSame: (etag: string) => boolean;
  /** Asks for the whole file: the server knows no ranges. Then `start` is 0. */
  isWhole: boolean;
}

/**
 * Asks for one range, checks that the answer is that range of that file, and gives its bytes in
 * order. Fewer bytes than announced are a TransientFailure once they are read; one byte more ends
 * the download.
 * @throws FileChanged, RangesIgnored, TransientFailure, LmError `download_failed`.
 */
export async function* fetchRange(
  tools: TransferTools,
  request: RangeRequest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { start, end, etag, isWhole } = request;
  const headers: Record<string, string> = isWhole
    ? {}
    : { range: `bytes=${start}-${end - 1}`, ...(etag === null ? {} : { "if-range": etag }) };
  const guard = new StallGuard(tools, signal);
  try {
    const { response, url } = await openUrl(tools.outbound, request.url, headers, guard.signal);
    try {
      checkAnswer(response, url.host, request, tools.clock.now());
    } catch (error) {
      await response.body?.cancel();
      throw error;
    }
    yield* readBody(response, end - start, url.host, guard);
  } catch (error) {
    throw guard.explain(error, request.url.host);
  } finally {
    guard.stop();
  }
}

function strongEtag(headers: Headers): string | null {
  const etag = headers.get("etag");
  return etag !== null && /^"[\x21\x23-\x7e]{1,256}"$/.test(etag) ? etag : null;
}

function checkAnswer(
  { status, headers }: Response,
  host: string,
  request: RangeRequest,
  nowMs: number,
): void {
  if (status === 429 || status === 408 || status >= 500)
    throw new TransientFailure(`${host} answers ${status}`, retryAfterMs(headers, nowMs));
  if (status === 416) throw new FileChanged(`${host} has no such range`);
  if (status === 401 || status === 403)
    throw downloadFailed(host, `it refuses the file with status ${status}`);
  if (status !== 200 && status !== 206) throw downloadFailed(host, `it answers ${status}`);
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity")
    throw downloadFailed(host, `it sends ${encoding} though asked not to`);
  const etag = strongEtag(headers);
  if (etag !== null && !request.isSame(etag))
    throw new FileChanged(`the file on ${host} was changed`);
  if (status === 200) {
    if (!request.isWhole) throw new RangesIgnored(`${host} sends whole files only`);
    checkLength(headers, request.fileBytes, host);
    return;
  }
  checkContentRange(headers, host, request);
}

function checkContentRange(headers: Headers, host: string, request: RangeRequest): void {
  const text = headers.get("content-range") ?? "";
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(text);
  const [first, last, total] = [match?.[1], match?.[2], match?.[3]];
  if (total !== undefined && total !== "*" && Number(total) !== request.fileBytes)
    throw new FileChanged(`the file on ${host} has another size now`);
  if (match === null || Number(first) !== request.start || Number(last) !== request.end - 1)
    throw new TransientFailure(`${host} answers with another range than the one asked for`);
  checkLength(headers, request.end - request.start, host);
}

function checkLength(headers: Headers, expected: number, host: string): void {
  const length = headers.get("content-length");
  if (length !== null && Number(length) !== expected)
    throw new FileChanged(`the answer of ${host} has another length than its range`);
}

async function* readBody(
  response: Response,
  expected: number,
  host: string,
  guard: StallGuard,
): AsyncGenerator<Uint8Array, void> {
  let received = 0;
  for await (const chunk of response.body ?? []) {
    guard.alive();
    received += chunk.length;
    if (received > expected) throw downloadFailed(host, "it sends more than it announced");
    yield chunk;
    guard.alive();
  }
  if (received < expected) throw new TransientFailure(`${host} ended its answer early`);
}

const isOurs = (error: unknown): boolean =>
  error instanceof LmError ||
  error instanceof TransientFailure ||
  error instanceof FileChanged ||
  error instanceof RangesIgnored;

/** Aborts a connection on which nothing has arrived for a while. */
class StallGuard {
  readonly #controller = new AbortController();
  readonly #tools: TransferTools;
  readonly #outer: AbortSignal;
  #lastMs: number;
  #cancel: () => void;
  #isStalled = false;

  constructor(tools: TransferTools, outer: AbortSignal) {
    this.#tools = tools;
    this.#outer = outer;
    this.#lastMs = tools.clock.monotonicMs();
    this.#cancel = tools.clock.after(tools.stallMs, this.#check);
    outer.addEventListener("abort", this.#abort, { once: true });
    if (outer.aborted) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  alive(): void {
    this.#lastMs = this.#tools.clock.monotonicMs();
  }

  stop(): void {
    this.#cancel();
    this.#outer.removeEventListener("abort", this.#abort);
  }

  /** What a failure of the connection means. */
  explain(error: unknown, host: string): unknown {
    if (this.#outer.aborted) return this.#outer.reason;
    if (this.#isStalled) return new TransientFailure(`${host} sends nothing any more`);
    if (isOurs(error)) return error;
    const code = systemCode(error) ?? "no code";
    return new TransientFailure(`the connection to ${host} broke (${code})`, null, {
      cause: error,
    });
  }

  readonly #abort = (): void => this.#controller.abort(this.#outer.reason);

  readonly #check = (): void => {
    const { clock, stallMs } = this.#tools;
    const silentMs = clock.monotonicMs() - this.#lastMs;
    if (silentMs < stallMs) {
      this.#cancel = clock.after(stallMs - silentMs, this.#check);
      return;
    }
    this.#isStalled = true;
    this.#controller.abort(new TransientFailure("stalled"));
  };
}
