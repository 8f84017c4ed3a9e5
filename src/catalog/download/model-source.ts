import { invalidRequest } from "../../lib/errors.ts";
import { splitQuant, shardOf, stemOf } from "../model-names.ts";

/** Where a model comes from. `quantization` upper case. */
export type ModelSource =
  | {
      kind: "hub";
      owner: string;
      repo: string;
      quantization: string | null;
      /** One file of the repository, by its path there; null = choose. */
      file: string | null;
    }
  | { kind: "url"; url: URL; owner: string; repo: string; file: string };

/** One part of a path that we create or send: never hidden, never a parent, no separators. */
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const HUB_HOSTS = new Set(["huggingface.co", "www.huggingface.co", "hf.co"]);
const MAX_LENGTH = 1_024;
/** Folders of a repository above a file. */
const MAX_FILE_DEPTH = 3;

export function isSafeSegment(text: string): boolean {
  return SEGMENT.test(text) && !text.endsWith(".");
}

/** A path of safe segments with `/` between them. */
export function isSafePath(path: string): boolean {
  const segments = path.split("/");
  return segments.length <= MAX_FILE_DEPTH && segments.every(isSafeSegment);
}

/** The quantisation in the name of a file, or of a shard, upper case; null = none. */
export function quantizationOf(path: string): string | null {
  const stem = stemOf(path.slice(path.lastIndexOf("/") + 1));
  return splitQuant(shardOf(stem)?.stem ?? stem).quant;
}

const refuse = (message: string) => invalidRequest("model", "invalid_value", message);

/**
 * Reads how a person names a model to download; see `DownloadRequest.model`.
 * @throws LmError `invalid_request` that says what is accepted.
 */
export function parseSource(text: string, endpoint: URL, allowAnyHost: boolean): ModelSource {
  if (text.length > MAX_LENGTH) throw refuse("The name of the model is too long.");
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseUrl(text, endpoint, allowAnyHost);
  const path = text.replace(/^(hf|huggingface):/i, "");
  const split = /^([^@:]*)(?:[@:]([^@:]*))?$/.exec(path);
  if (split === null)
    throw refuse(`"${text}" is not a model. Write owner/repo or owner/repo@quant.`);
  return hubSource((split[1] ?? "").split("/"), split[2] ?? null, text);
}

function hubSource(segments: readonly string[], quant: string | null, text: string): ModelSource {
  const [owner = "", repo = "", ...rest] = segments;
  const file = rest.length === 0 ? null : rest.join("/");
  const isWellFormed =
    isSafeSegment(owner) &&
    isSafeSegment(repo) &&
    (quant === null || isSafeSegment(quant)) &&
    (file === null || (isSafePath(file) && /\.gguf$/i.test(file) && quant === null));
  if (!isWellFormed)
    throw refuse(
      `"${text}" is not a model. Write owner/repo, owner/repo@quant or owner/repo/file.gguf.`,
    );
  return { kind: "hub", owner, repo, quantization: quant?.toUpperCase() ?? null, file };
}

function parseUrl(text: string, endpoint: URL, allowAnyHost: boolean): ModelSource {
  const url = URL.parse(text);
  const isEndpoint = url?.origin === endpoint.origin;
  if (url === null || !(url.protocol === "https:" || isEndpoint))
    throw refuse(`"${text}" is not an https URL.`);
  if (url.username !== "" || url.password !== "")
    throw refuse("A URL with a user name or password is not accepted.");
  if (isEndpoint || HUB_HOSTS.has(url.hostname)) return hubUrl(url, text);
  if (!allowAnyHost) throw refuse(`Models are fetched from ${endpoint.host} only.`);
  const file = decoded(url.pathname.slice(url.pathname.lastIndexOf("/") + 1));
  if (!isSafeSegment(file) || !/\.gguf$/i.test(file))
    throw refuse("The URL does not end in the name of a .gguf file.");
  const stem = stemOf(file);
  const repo = splitQuant(shardOf(stem)?.stem ?? stem).name;
  if (!isSafeSegment(url.hostname) || !isSafeSegment(repo))
    throw refuse("No folder can be named after this URL.");
  return { kind: "url", url, owner: url.hostname, repo, file };
}

/** `/owner/repo`, `/owner/repo@quant`, `/owner/repo/resolve/main/file.gguf` and `/blob/main/`. */
function hubUrl(url: URL, text: string): ModelSource {
  const path = decoded(url.pathname).replace(/^\/|\/$/g, "");
  const [, plain = "", quant = null] = /^([^@:]*)(?:[@:]([^@:]*))?$/.exec(path) ?? [];
  const [owner = "", repo = "", verb, revision, ...file] = plain.split("/");
  if (verb === undefined) return hubSource([owner, repo], quant, text);
  if (verb === "tree" && file.length === 0 && revision === "main")
    return hubSource([owner, repo], quant, text);
  if ((verb !== "resolve" && verb !== "blob") || revision !== "main" || file.length === 0)
    throw refuse(`"${text}" is neither a repository nor a file of its main branch.`);
  return hubSource([owner, repo, ...file], quant, text);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}
