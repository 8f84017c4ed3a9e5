import { LmError } from "../lib/errors.ts";
import type { HttpSettings } from "./deps.ts";
import { isLoopbackHost, parseHost } from "./host.ts";

/** Whether the configured list (or `*`) lets pages of `origin` use the server. */
export function isAllowedOrigin(origin: string, cors: HttpSettings["cors"]): boolean {
  if (cors === null) return false;
  if (cors === "*") return true;
  return cors.some((pattern) => matches(pattern, origin));
}

/** `https://host`, `https://host:port` or `http://host:*`. Scheme and host must be equal. */
function matches(pattern: string, origin: string): boolean {
  if (!pattern.endsWith(":*")) return pattern === origin;
  const base = pattern.slice(0, -2);
  return (
    origin === base ||
    (origin.startsWith(`${base}:`) && /^\d+$/.test(origin.slice(base.length + 1)))
  );
}

/**
 * Refuses a request that a foreign web page sends on the user's behalf: a body without content
 * type needs no preflight. Reading with GET is answered, since the browser hides the answer.
 *
 * @throws LmError forbidden for POST and DELETE with a foreign web origin.
 */
export function checkOrigin(request: Request, cors: HttpSettings["cors"]): void {
  const { method, headers } = request;
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return;
  const origin = headers.get("origin");
  if (origin === null) {
    if (headers.get("sec-fetch-site") === "cross-site") throw foreign();
    return;
  }
  if (isAllowedOrigin(origin, cors)) return;
  if (isForeignWebOrigin(origin, headers.get("host"))) throw foreign();
}

/**
 * Refuses what changes the server to every web page but its own: not even another page of this
 * machine may load, unload or fetch models.
 *
 * @throws LmError forbidden.
 */
export function checkSameOrigin({ headers }: Request, cors: HttpSettings["cors"]): void {
  const origin = headers.get("origin");
  if (origin === null || (cors !== null && cors !== "*" && isAllowedOrigin(origin, cors))) return;
  const host = headers.get("host")?.toLowerCase() ?? "";
  const isOwn = ["http", "https"].some((scheme) => origin.toLowerCase() === `${scheme}://${host}`);
  if (!isOwn && /^(https?:|null$)/i.test(origin)) throw foreign(MAY_NOT_MANAGE);
}

function isForeignWebOrigin(origin: string, hostHeader: string | null): boolean {
  if (origin === "null") return true;
  const match = /^https?:\/\/(.*)$/i.exec(origin);
  if (!match) return false;
  const authority = match[1] ?? "";
  const host = parseHost(authority);
  if (host === null) return true;
  if (isLoopbackHost(host)) return false;
  return authority.toLowerCase() !== hostHeader?.toLowerCase();
}

const MAY_NOT_ASK = "Requests from this web origin are not allowed. Allow it with --cors.";
const MAY_NOT_MANAGE =
  "Pages of this web origin may not manage the server, which --cors alone does not allow. " +
  "Name the origin, such as --cors=https://example.com.";

const foreign = (message = MAY_NOT_ASK): LmError =>
  new LmError("forbidden", { reason: "host_not_allowed" }, message);
