import { LmError } from "../lib/errors.ts";
import type { HttpSettings } from "./deps.ts";
import { answerError } from "./error-dialect.ts";
import { checkHost } from "./host.ts";
import { missingRoute } from "./missing-route.ts";
import { checkOrigin, isAllowedOrigin } from "./origin.ts";
import type { RequestContext } from "./request-context.ts";
import type { RouteTable } from "./route.ts";

/**
 * What load balancers ask by HTTP/1.0, which knows no Host; without one the runtime refuses later
 * versions. Browsers always send it.
 */
const HOSTLESS_PATHS = ["/", "/health", "/v1/health", "/livez", "/readyz"];

/** What stands in front of every route: Host, origin, whether the route exists and has the method. */
export class Gate {
  readonly #table: RouteTable;
  readonly #settings: HttpSettings;

  constructor(table: RouteTable, settings: HttpSettings) {
    this.#table = table;
    this.#settings = settings;
  }

  /** @returns The answer when the request goes no further. */
  check(context: RequestContext): Response | undefined {
    try {
      return this.#check(context);
    } catch (error) {
      return answerError(error, context.path);
    }
  }

  #check({ request, path }: RequestContext): Response | undefined {
    const { method, headers } = request;
    const host = headers.get("host");
    if (host !== null || !HOSTLESS_PATHS.includes(path)) checkHost(host, this.#settings);
    checkOrigin(request, this.#settings.cors);
    const methods = this.#table.methods(path);
    if (methods === null) throw missingRoute(method, path);
    if (method === "OPTIONS") return this.#options(request, methods);
    if (!methods.includes(method)) throw notAllowed([...methods, "OPTIONS"]);
    return undefined;
  }

  #options({ headers }: Request, methods: readonly string[]): Response {
    const answer = new Response(null, {
      status: 204,
      headers: { allow: [...methods, "OPTIONS"].join(", ") },
    });
    const origin = headers.get("origin");
    const isPreflight = origin !== null && headers.has("access-control-request-method");
    if (!isPreflight || !isAllowedOrigin(origin, this.#settings.cors)) return answer;
    answer.headers.set("access-control-allow-methods", "GET, POST, DELETE, OPTIONS");
    answer.headers.set("access-control-max-age", "86400");
    answer.headers.set("vary", "Origin, Access-Control-Request-Headers");
    const wanted = headers.get("access-control-request-headers");
    if (wanted !== null) answer.headers.set("access-control-allow-headers", wanted);
    if (headers.get("access-control-request-private-network") === "true") {
      answer.headers.set("access-control-allow-private-network", "true");
    }
    return answer;
  }
}

function notAllowed(allow: readonly string[]): LmError {
  return new LmError(
    "method_not_allowed",
    { allow },
    `This method is not allowed here. Allowed: ${allow.join(", ")}.`,
  );
}
