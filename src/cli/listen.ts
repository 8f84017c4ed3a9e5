import { lookup } from "node:dns/promises";
import { IDLE_TIMEOUT_SECONDS } from "../lib/limits.ts";
import { systemCode } from "../lib/system-code.ts";
import type { HttpApp } from "../http/deps.ts";
import { EXIT, ExitError } from "./command.ts";
import { interfaceAddresses } from "./interface-addresses.ts";

export interface ListenOptions {
  bind: string;
  /** 0 = any free port. */
  port: number;
  app: Pick<HttpApp, "fetch">;
}

export interface Listener {
  port: number;
  /** Where clients on this machine reach the server. */
  url: string;
  /** Every address it can be reached at, this machine first. */
  urls: readonly string[];
  /** Accepts nothing new. Resolves when the last answer is out and its connection closed. */
  stopAccepting(): Promise<void>;
  /** Closes every connection. */
  closeAll(): Promise<void>;
}

/** Out of the way: the routes count bodies themselves, and answer with a body of their own. */
const NATIVE_BODY_LIMIT_BYTES = 2 ** 40;

/** `localhost` may get a port on IPv4 that is taken on IPv6: other ports are tried this often. */
const PORT_ATTEMPTS = 10;

/** @throws ExitError (cannotStart) when the port is taken or the address cannot be used. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const addresses = await addressesOf(options.bind);
  const servers = await serveAll(addresses, options);
  const port = servers[0]?.port ?? options.port;
  const urls = urlsOf(addresses, port);
  return {
    port,
    url: urls[0] ?? "",
    urls,
    stopAccepting: async () => void (await Promise.all(servers.map((server) => server.stop()))),
    closeAll: async () => void (await Promise.all(servers.map((server) => server.stop(true)))),
  };
}

type Server = Bun.Server<undefined>;

async function serveAll(addresses: readonly string[], options: ListenOptions): Promise<Server[]> {
  for (let attempt = 1; ; attempt += 1) {
    const servers: Server[] = [];
    try {
      for (const address of addresses) {
        // All addresses share the port that the first one got.
        servers.push(serveOn(address, servers[0]?.port ?? options.port, options));
      }
      return servers;
    } catch (error) {
      for (const server of servers) await server.stop(true);
      if (codeOf(error) === "EADDRINUSE" && options.port === 0 && attempt < PORT_ATTEMPTS) continue;
      if (servers.length > 0 && isMissingFamily(error))
        return serveAll(addresses.slice(0, 1), options);
      throw await refused(error, addresses[servers.length] ?? options.bind, options.port);
    }
  }
}

function serveOn(address: string, port: number, { app }: ListenOptions): Server {
  return Bun.serve({
    hostname: address,
    port,
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    maxRequestBodySize: NATIVE_BODY_LIMIT_BYTES,
    development: false,
    // A compiled program shares its port by default: a second server would take half the clients.
    reusePort: false,
    fetch: (request, server) => app.fetch(request, server),
  });
}

/** The addresses a name stands for: `localhost` is both loopbacks, other names are looked up. */
async function addressesOf(bind: string): Promise<readonly string[]> {
  if (bind === "localhost") return ["127.0.0.1", "::1"];
  try {
    const found = await lookup(bind, { all: true });
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    throw new ExitError(EXIT.cannotStart, `--bind: ${bind} cannot be resolved (${codeOf(error)}).`);
  }
}

function urlsOf(addresses: readonly string[], port: number): string[] {
  const shown = addresses.flatMap((address) => {
    if (address === "0.0.0.0") return ["127.0.0.1", ...interfaceAddresses(["IPv4"])];
    if (address === "::") return ["127.0.0.1", ...interfaceAddresses(["IPv4", "IPv6"])];
    return [address];
  });
  return shown.map(
    (address) => `http://${address.includes(":") ? `[${address}]` : address}:${port}`,
  );
}

async function refused(error: unknown, address: string, port: number): Promise<ExitError> {
  const code = codeOf(error);
  if (code === "EADDRINUSE") {
    const who = await whoAnswers(address, port);
    return new ExitError(
      EXIT.cannotStart,
      `Port ${port} is already in use${who}. Choose another port with --port, or --port 0 for any free one.`,
      { cause: error, code: "port_in_use" },
    );
  }
  const why =
    code === "EACCES" || code === "EPERM"
      ? "it is not permitted (ports below 1024 need privileges)"
      : `the system refused it (${code})`;
  const message = `Cannot listen on ${address} port ${port}: ${why}.`;
  return new ExitError(EXIT.cannotStart, message, { cause: error });
}

/** Which server holds the port, as far as it says. */
async function whoAnswers(address: string, port: number): Promise<string> {
  const host = address === "0.0.0.0" || address === "::" ? "127.0.0.1" : address;
  const base = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const greeting = await getJson(`${base}/lmstudio-greeting`);
  if (greeting?.["lmstudio"] !== true) return "";
  const version = (await getJson(`${base}/version`))?.["version"];
  return typeof version === "string"
    ? ` by lmserver ${version.slice(0, 40)} (stop it with "lmserver stop")`
    : " by LM Studio or a server like it";
}

async function getJson(url: string): Promise<Record<string, unknown> | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000), redirect: "error" });
    const body: unknown = await response.json();
    return body !== null && typeof body === "object" ? { ...body } : null;
  } catch {
    return null; // whatever holds the port does not speak HTTP with us
  }
}

const isMissingFamily = (error: unknown): boolean =>
  ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"].includes(codeOf(error));

function codeOf(error: unknown): string {
  return systemCode(error) ?? (error instanceof Error ? error.message : "unknown");
}
