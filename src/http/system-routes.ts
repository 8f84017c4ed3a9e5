import { Type } from "typebox";
import { LmError } from "../lib/errors.ts";
import { adaptersRoute } from "./adapters-route.ts";
import type { BodyBudget } from "./body.ts";
import type { Server } from "./generation.ts";
import { instancesRoute } from "./instances-route.ts";
import { jsonResponse, wholeResponse } from "./json-response.ts";
import { logsRoute } from "./logs-route.ts";
import { modelsStateRoute } from "./models-state-route.ts";
import type { GetRoute } from "./route.ts";
import { slotsRoute } from "./slots-route.ts";

const Status = Type.Object({ status: Type.Literal("ok") });
const OK = { status: "ok" };

const health = (path: string, summary: string, check: () => void): GetRoute => ({
  method: "GET",
  path,
  permission: "public",
  doc: {
    summary,
    tag: "System",
    response: { description: "All is well.", schema: Status, example: OK },
  },
  answer() {
    check();
    return jsonResponse(OK);
  },
});

/** What operators, load balancers and LM Studio's own clients ask. */
export function systemRoutes(server: Server, budget: BodyBudget): GetRoute[] {
  const { deps } = server;
  const checkReady = (): void => {
    if (deps.isReady() && !deps.isStopping()) return;
    const what = deps.isStopping() ? "shutting down" : "starting";
    throw new LmError("overloaded", { retryAfterMs: 1_000 }, `The server is ${what}.`);
  };
  return [
    health("/health", "Whether the server takes requests", checkReady),
    health("/v1/health", "Whether the server takes requests", checkReady),
    health("/readyz", "Whether the server takes requests", checkReady),
    health("/livez", "Whether the process answers", () => undefined),
    instancesRoute(server),
    adaptersRoute(server),
    modelsStateRoute(server),
    slotsRoute(server),
    root,
    greeting,
    version(server),
    logsRoute(server, deps.logFeed),
    ...(deps.settings.metrics ? [metricsText(server, budget)] : []),
  ];
}

const ROOT_TEXT = "lmserver is running. Its API is described at /swagger.\n";

/** For clients that try the base URL, and for a person who opens it. */
const root: GetRoute = {
  method: "GET",
  path: "/",
  permission: "public",
  doc: {
    summary: "Says what answers here",
    tag: "System",
    response: { description: "A line.", schema: null, type: "text/plain", example: ROOT_TEXT },
  },
  answer: () => wholeResponse(ROOT_TEXT, "text/plain; charset=utf-8"),
};

const greeting: GetRoute = {
  method: "GET",
  path: "/lmstudio-greeting",
  permission: "public",
  doc: {
    summary: "Tells LM Studio's clients whom they speak to",
    tag: "System",
    response: {
      description: "Always the same.",
      schema: Type.Object({ lmstudio: Type.Literal(true) }),
      example: { lmstudio: true },
    },
  },
  answer: () => jsonResponse({ lmstudio: true }),
};

const version = ({ deps }: Server): GetRoute => ({
  method: "GET",
  path: "/version",
  permission: "any",
  doc: {
    summary: "Version of the server and its engine",
    tag: "System",
    response: {
      description: "Versions.",
      schema: Type.Object({
        version: Type.String(),
        commit: Type.Union([Type.String(), Type.Null()]),
        engine: Type.String(),
      }),
      example: { version: "0.1.0", commit: null, engine: "llama.cpp v0.5.0" },
    },
  },
  answer: () =>
    jsonResponse({
      version: deps.version.version,
      commit: deps.version.commit,
      engine: `llama.cpp ${deps.version.engine}`,
    }),
});

const metricsText = ({ deps, metrics }: Server, budget: BodyBudget): GetRoute => ({
  method: "GET",
  path: "/metrics",
  permission: "any",
  doc: {
    summary: "Counters and histograms for Prometheus",
    tag: "System",
    response: {
      description: "Prometheus text format, version 0.0.4.",
      schema: null,
      type: "text/plain",
      example: 'lmserver_http_requests_total{route="/health",method="GET",status="200"} 1\n',
    },
  },
  answer: () =>
    wholeResponse(
      metrics.render(deps, budget.usedBytes),
      "text/plain; version=0.0.4; charset=utf-8",
    ),
});
