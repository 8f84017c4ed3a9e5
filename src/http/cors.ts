import { cors } from "@elysiajs/cors";
import type { HttpSettings } from "./deps.ts";
import { isAllowedOrigin } from "./origin.ts";

/** What pages may read: what SDKs act upon, and what tells of a request honoured in part. */
const EXPOSED_HEADERS = [
  "x-request-id",
  "request-id",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "openai-processing-ms",
  "x-lmserver-warning",
];

/** Lets pages of these origins read answers. Preflights are answered by the gate. */
export function corsPlugin(origins: "*" | readonly string[]) {
  return cors({
    origin: origins === "*" ? "*" : (request) => isOriginAllowed(request, origins),
    methods: false,
    allowedHeaders: [],
    exposeHeaders: EXPOSED_HEADERS,
    credentials: false,
    preflight: false,
  });
}

function isOriginAllowed(request: Request, origins: HttpSettings["cors"]): boolean {
  const origin = request.headers.get("origin");
  return origin !== null && isAllowedOrigin(origin, origins);
}

/** Takes away what the plugin writes without need. */
export function tidyCorsHeaders(headers: Headers): void {
  if (headers.get("access-control-allow-headers") === "") {
    headers.delete("access-control-allow-headers");
  }
  // An origin that is not in the list is answered as without CORS.
  if (!headers.has("access-control-allow-origin")) headers.delete("access-control-expose-headers");
  // The answer is the same for every origin.
  if (headers.get("vary") === "*") headers.delete("vary");
}
