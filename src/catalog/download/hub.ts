import { Type } from "typebox";
import { Value } from "typebox/value";
import { LmError } from "../../lib/errors.ts";
import { MAX_HUB_JSON_BYTES } from "../../lib/limits.ts";
import { openUrl, type Outbound } from "./open-url.ts";
import { retryAfterMs } from "./retry.ts";
import { downloadFailed, TransientFailure } from "./transfer-failure.ts";

/** Pages of one listing; a page holds a thousand files. */
const MAX_PAGES = 20;

/** Source: https://huggingface.co/docs/hub/api, `GET /api/models/{repo}/tree/{revision}`. */
const Tree = Type.Array(
  Type.Object({
    type: Type.String(),
    path: Type.String(),
    size: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    lfs: Type.Optional(
      Type.Object({
        oid: Type.String(),
        size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
      }),
    ),
  }),
);

/** A file as its hub describes it. */
export interface HubFile {
  /** In the repository, untrusted. */
  path: string;
  sizeBytes: number;
  /** 64 hexadecimal digits; null when the hub does not say. */
  sha256: string | null;
}

/** URL below the endpoint, which may itself have a path. Segments are already safe. */
export function hubUrl(endpoint: URL, path: string): URL {
  return new URL(endpoint.pathname.replace(/\/$/, "") + path, endpoint);
}

/**
 * All files of a repository's main branch.
 * @throws LmError `model_not_found`, `download_failed`; TransientFailure.
 */
export async function listRepository(
  outbound: Outbound,
  repository: string,
  nowMs: number,
  signal: AbortSignal,
): Promise<readonly HubFile[]> {
  const files: HubFile[] = [];
  let left = MAX_HUB_JSON_BYTES;
  let url: URL | null = hubUrl(
    outbound.endpoint,
    `/api/models/${repository}/tree/main?recursive=1`,
  );
  for (let page = 0; url !== null && page < MAX_PAGES; page += 1) {
    const opened = await openUrl(outbound, url, { accept: "application/json" }, signal);
    const { response } = opened;
    if (!response.ok) await refuse(response, repository, outbound, nowMs);
    const text = await readText(response, left, outbound.endpoint.host);
    left -= text.length;
    files.push(...parseTree(text, outbound.endpoint.host));
    url = nextPage(response.headers.get("link"), opened.url, outbound);
  }
  return files;
}

/** `Link: <url>; rel="next"`, within the endpoint. */
function nextPage(link: string | null, base: URL, { endpoint }: Outbound): URL | null {
  const match = /<([^>]{1,2048})>\s*;\s*rel="?next"?/.exec(link ?? "");
  const url = match === null ? null : URL.parse(match[1] ?? "", base.href);
  return url?.origin === endpoint.origin ? url : null;
}

async function refuse(
  response: Response,
  model: string,
  outbound: Outbound,
  nowMs: number,
): Promise<never> {
  await response.body?.cancel();
  const { status, headers } = response;
  const { host } = outbound.endpoint;
  if (status === 404)
    throw new LmError(
      "model_not_found",
      { model, available: [], param: "model" },
      `${host} has no repository ${model}.`,
    );
  if (status === 401 || status === 403) {
    const hint =
      outbound.token === null
        ? "set HF_TOKEN to a token that may read it"
        : "the token of HF_TOKEN may not read it";
    throw new LmError(
      "model_not_found",
      { model, available: [], param: "model" },
      `The repository ${model} does not exist on ${host}, or is closed: ${hint}.`,
    );
  }
  if (status === 429 || status >= 500)
    throw new TransientFailure(`${host} answers ${status}`, retryAfterMs(headers, nowMs));
  throw downloadFailed(host, `it answers the listing of ${model} with status ${status}`);
}

async function readText(response: Response, limit: number, host: string): Promise<string> {
  const encoding = response.headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") {
    await response.body?.cancel();
    throw downloadFailed(host, "it answers compressed though asked not to");
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > limit) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new TransientFailure(`${host} ended its answer early`, null, { cause: error });
  }
  if (length > limit)
    throw downloadFailed(host, `its listing is larger than ${MAX_HUB_JSON_BYTES / 2 ** 20} MiB`);
  return Buffer.concat(chunks).toString("utf8");
}

function parseTree(text: string, host: string): HubFile[] {
  if (isDeep(text)) throw downloadFailed(host, "its listing is nested too deep");
  const tree = parseJson(text);
  if (!Value.Check(Tree, tree)) throw downloadFailed(host, "its listing is not what a hub answers");
  return tree
    .filter((entry) => entry.type === "file")
    .map(({ path, size, lfs }) => {
      if (lfs !== undefined && !/^[0-9a-f]{64}$/.test(lfs.oid))
        throw downloadFailed(host, "its listing holds a digest that is none");
      return { path, sizeBytes: lfs?.size ?? size ?? 0, sha256: lfs?.oid ?? null };
    });
}

/** A listing is three levels deep; a bomb of brackets would occupy the parser for seconds. */
const MAX_DEPTH = 16;

function isDeep(text: string): boolean {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (isText && char === "\\") at += 1;
    else if (char === '"') isText = !isText;
    else if (!isText && (char === "[" || char === "{")) depth += 1;
    else if (!isText && (char === "]" || char === "}")) depth -= 1;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
