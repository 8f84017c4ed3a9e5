import { LmError } from "../lib/errors.ts";
import type { Deps } from "./deps.ts";
import { jsonResponse, wholeResponse } from "./json-response.ts";
import type { GetRoute } from "./route.ts";

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>lmserver API</title>
    <link rel="icon" href="/swagger/favicon-32x32.png">
    <link rel="stylesheet" href="/swagger/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/swagger/swagger-ui-bundle.js"></script>
    <script src="/swagger/start.js"></script>
  </body>
</html>
`;

const START = `SwaggerUIBundle({
  url: "/swagger/json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
`;

/** Everything comes from this server; Swagger UI sets styles of its own. */
const PAGE_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
};

const CACHED = { "cache-control": "max-age=3600" };

/**
 * Swagger UI and its document. Public: they are the same on every machine and hold nothing of this
 * one, and a browser cannot send a key to open a page.
 */
export function swaggerRoutes(
  deps: Pick<Deps, "swaggerAsset">,
  openapi: () => Record<string, unknown>,
): GetRoute[] {
  const shared = { method: "GET", permission: "public", doc: null } as const;
  return [
    {
      ...shared,
      path: "/swagger",
      answer: () => wholeResponse(PAGE, "text/html; charset=utf-8", { headers: PAGE_HEADERS }),
    },
    { ...shared, path: "/swagger/json", answer: () => jsonResponse(openapi()) },
    {
      ...shared,
      path: "/swagger/start.js",
      answer: () => wholeResponse(START, "text/javascript; charset=utf-8"),
    },
    {
      ...shared,
      path: "/swagger/{id}",
      answer(context, name) {
        const asset = deps.swaggerAsset(name);
        if (asset) return wholeResponse(asset.bytes, asset.type, { headers: CACHED });
        const { method } = context.request;
        const path = context.path.slice(0, 256);
        throw new LmError(
          "route_not_found",
          { method, path },
          `Unexpected endpoint or method. (${method} ${path})`,
        );
      },
    },
  ];
}
