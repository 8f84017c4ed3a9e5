import { isIP } from "node:net";
import { invalidRequest, LmError } from "../lib/errors.ts";
import type { HttpSettings } from "./deps.ts";

type HostSettings = Pick<
  HttpSettings,
  "allowedHosts" | "bindAddress" | "hostname" | "apiKeys" | "requireAuth"
>;

/** Whether an IP literal or a name means this very machine. Brackets around IPv6 are allowed. */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (isIP(name) === 4) return name.startsWith("127.");
  if (isIP(name) === 6) return name === "::1" || name === "0:0:0:0:0:0:0:1";
  return false;
}

/** Whether a peer's address is this machine's own. */
export function isLoopbackAddress(address: string): boolean {
  return isLoopbackHost(address.replace(/^::ffff:/i, ""));
}

/**
 * Host name of a `Host` header, lower case, without port.
 * @returns null when the header is not exactly one `host[:port]`: two headers arrive joined by a
 *   comma, and a path or user part would change what a URL parser reads.
 */
export function parseHost(header: string): string | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/.exec(header);
  return match?.[1]?.toLowerCase() ?? null;
}

/**
 * Guards against DNS rebinding: a page whose name was pointed at this machine still sends its own
 * name. Applies to every route and method; only the gate knows who needs none.
 *
 * @throws LmError invalid_request when the header is missing or malformed, forbidden when the name
 *   is not one of ours.
 */
export function checkHost(header: string | null, settings: HostSettings): void {
  const host = header === null ? null : parseHost(header);
  if (host === null) {
    throw invalidRequest(null, "invalid_value", "The Host header is missing or malformed.");
  }
  if (!isOwnHost(host, settings)) {
    throw new LmError(
      "forbidden",
      { reason: "host_not_allowed" },
      "This Host name is not allowed. Add it with --allowed-hosts if it is yours.",
    );
  }
}

function isOwnHost(host: string, settings: HostSettings): boolean {
  if (isLoopbackHost(host) || host === "host.docker.internal") return true;
  if (settings.allowedHosts.some((name) => name.toLowerCase() === host)) return true;
  if (isLoopbackHost(settings.bindAddress)) return false;
  if (settings.requireAuth || settings.apiKeys.length > 0) return true;
  const own = settings.hostname.toLowerCase();
  return (
    isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0 ||
    host === own ||
    host === `${own}.local` ||
    host.endsWith(".ts.net")
  );
}
