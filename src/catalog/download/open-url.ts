import { lookup as resolveName } from "node:dns/promises";
import { isIP } from "node:net";
import { LmError } from "../../lib/errors.ts";
import { systemCode } from "../../lib/system-code.ts";
import { isPublicAddress } from "./public-address.ts";
import { routeTo } from "./proxy.ts";
import { downloadFailed, TransientFailure } from "./transfer-failure.ts";

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Where and how requests leave this machine. */
export interface Outbound {
  /** The hub the user configured. Only its origin may be http or private, and gets the token. */
  endpoint: URL;
  /** Sent as `Authorization: Bearer`; null = none. */
  token: string | null;
  /** Read for proxy variables. */
  env: Readonly<Record<string, string | undefined>>;
  /** Every address of a host name. */
  lookup(host: string): Promise<readonly string[]>;
  /** Whether a host other than the endpoint may have this address. */
  isAllowedAddress(address: string): boolean;
}

/**
 * `HF_ENDPOINT`, `HF_TOKEN` and the proxy variables of an environment, with the system's resolver.
 * @throws LmError `invalid_config`.
 */
export function outboundOf(env: Outbound["env"]): Outbound {
  const text = env["HF_ENDPOINT"] ?? "";
  const endpoint = URL.parse(text === "" ? "https://huggingface.co" : text);
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol)) {
    const problem = "HF_ENDPOINT is not an http or https URL.";
    throw new LmError("invalid_config", { problems: [problem] }, problem);
  }
  const token = env["HF_TOKEN"]?.trim() ?? "";
  return {
    endpoint,
    token: token === "" ? null : token,
    env,
    lookup: async (host) => (await resolveName(host, { all: true })).map(({ address }) => address),
    isAllowedAddress: isPublicAddress,
  };
}

/** An answer, and the URL that gave it after all redirects. */
export interface OpenedUrl {
  response: Response;
  url: URL;
}

/**
 * GET with the guards that untrusted hubs need. Redirects are followed by hand, each one checked:
 * https only (http when the configured endpoint itself is http), no private address behind any other
 * host than the endpoint, the token for the endpoint alone. The connection goes to the very address
 * that was checked, so that a second answer of the resolver cannot redirect it. Through a proxy the
 * proxy resolves: then only addresses written in the URL can be checked. The same holds for hosts in
 * `NO_PROXY` while a proxy is set, for Bun's own proxy rules see only the name.
 *
 * The body is as sent: compressed bodies are not unpacked.
 *
 * @throws LmError `download_failed` when a rule refuses, TransientFailure when the host is unreachable.
 */
export async function openUrl(
  outbound: Outbound,
  start: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<OpenedUrl> {
  let url = start;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const response = await request(outbound, url, headers, signal);
    const location = response.headers.get("location");
    if (!REDIRECTS.has(response.status) || location === null) return { response, url };
    await response.body?.cancel();
    const next = URL.parse(location, url.href);
    if (next === null) throw downloadFailed(url.host, "it redirects to something that is no URL");
    url = next;
  }
  throw downloadFailed(start.host, `it redirects more than ${MAX_REDIRECTS} times`);
}

async function request(
  outbound: Outbound,
  url: URL,
  extra: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  const { endpoint, token, env } = outbound;
  const isEndpoint = url.origin === endpoint.origin;
  const isSafe = url.protocol === "https:" || (url.protocol === "http:" && isHttp(endpoint));
  if (!isSafe) throw downloadFailed(url.host, `${url.protocol} is not allowed, only https:`);
  if (url.username !== "" || url.password !== "")
    throw downloadFailed(url.host, "URLs with a user name or password are not allowed");
  const headers: Record<string, string> = {
    ...extra,
    "accept-encoding": "identity",
    "user-agent": "lmserver",
    ...(isEndpoint && token !== null ? { authorization: `Bearer ${token}` } : {}),
  };
  const init = { headers, signal, redirect: "manual", decompress: false } as const;
  const route = routeTo(url, env);
  const proxy = route.kind === "proxy" ? { proxy: route.proxy } : {};
  const addresses = isEndpoint ? [] : await checkedAddresses(outbound, url, route.kind, signal);
  if (addresses.length === 0) return reach(url, url, { ...init, ...proxy });
  const pinned = { ...init, headers: { ...headers, host: url.host } };
  const tls = url.protocol === "https:" ? { tls: { serverName: hostOf(url) } } : {};
  let failure: unknown = null;
  for (const address of addresses) {
    const target = new URL(url);
    target.hostname = isIP(address) === 6 ? `[${address}]` : address;
    try {
      return await reach(url, target, { ...pinned, ...tls });
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}

const isHttp = (url: URL): boolean => url.protocol === "http:";

/** Without the brackets of IPv6. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, "$1");

/**
 * The addresses to connect to, IPv4 first; empty = connect by name.
 * @throws LmError when any address is not allowed.
 */
async function checkedAddresses(
  outbound: Outbound,
  url: URL,
  route: "direct" | "exempt" | "proxy",
  signal: AbortSignal,
): Promise<readonly string[]> {
  const host = hostOf(url);
  const isLiteral = isIP(host) !== 0;
  if (/(^|\.)localhost\.?$/.test(host)) throw notPublic(url);
  if (route === "proxy" && !isLiteral) return [];
  const addresses = isLiteral ? [host] : await resolve(outbound, url, host);
  signal.throwIfAborted();
  if (addresses.some((address) => !outbound.isAllowedAddress(address))) throw notPublic(url);
  if (route !== "direct" || isLiteral) return [];
  return addresses.toSorted((a, b) => isIP(a) - isIP(b));
}

const notPublic = (url: URL) => downloadFailed(url.host, "its address is not a public one");

async function resolve(outbound: Outbound, url: URL, host: string): Promise<readonly string[]> {
  try {
    const addresses = await outbound.lookup(host);
    if (addresses.length > 0) return addresses;
  } catch (error) {
    throw new TransientFailure(`${url.host} cannot be resolved`, null, { cause: error });
  }
  throw new TransientFailure(`${url.host} has no address`);
}

async function reach(url: URL, target: URL, init: BunFetchRequestInit): Promise<Response> {
  try {
    return await fetch(target, init);
  } catch (error) {
    if (init.signal?.aborted === true) throw init.signal.reason;
    const code = systemCode(error) ?? "no connection";
    throw new TransientFailure(`${url.host} cannot be reached (${code})`, null, { cause: error });
  }
}
