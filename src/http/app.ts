import { Elysia } from "elysia";
import { invalidRequest } from "../lib/errors.ts";
import { randomHexId } from "../lib/id.ts";
import { recordAnswer } from "./access-log.ts";
import { Authenticator } from "./auth.ts";
import { BodyBudget, readJsonObject } from "./body.ts";
import { corsPlugin, tidyCorsHeaders } from "./cors.ts";
import type { Connection, Deps, HttpApp, HttpSettings } from "./deps.ts";
import { answerError } from "./error-dialect.ts";
import type { Server } from "./generation.ts";
import { Gate } from "./gate.ts";
import { lmstudioRoutes } from "./lmstudio/routes.ts";
import { chatCompletions, chatInputTokens, chatRender } from "./openai/chat-completions.ts";
import { completions } from "./openai/completions.ts";
import { embeddings } from "./openai/embeddings.ts";
import { modelList, modelRetrieve } from "./openai/models.ts";
import { openapiDocument } from "./openapi.ts";
import { checkSameOrigin } from "./origin.ts";
import { ANYBODY, checkPermission, isManagement } from "./permission.ts";
import { closeWhenIdle, type RequestContext, warningHeader } from "./request-context.ts";
import { normalPath, type PostRoute, type Route, RouteTable } from "./route.ts";
import { ServerMetrics } from "./server-metrics.ts";
import { recordFailure } from "./stream-answer.ts";
import { swaggerRoutes } from "./swagger.ts";
import { systemRoutes } from "./system-routes.ts";

/** The client closed the connection first. Source: nginx. */
const CLIENT_GONE = 499;

/**
 * The server as a function from request to answer. In front of every route: Host, origin, method;
 * then CORS, the key, the body's limits; then the route validates and answers.
 */
export function createApp(deps: Deps): HttpApp {
  const app = new App(deps);
  return {
    fetch: (request, connection) => app.fetch(request, connection),
    handle: (request) => app.fetch(request, null),
    openapi: () => app.openapi(),
  };
}

class App {
  readonly #server: Server;
  readonly #budget = new BodyBudget();
  readonly #authenticator: Authenticator;
  readonly #gate: Gate;
  readonly #elysia: { handle(request: Request): Promise<Response> };
  readonly #contexts = new WeakMap<Request, RequestContext>();
  readonly #routes: readonly Route[];

  constructor(deps: Deps) {
    this.#server = { deps, metrics: new ServerMetrics() };
    const { apiKeys, requireAuth } = deps.settings;
    const isRequired = requireAuth || apiKeys.length > 0;
    this.#authenticator = new Authenticator(
      { keys: apiKeys, tokens: deps.tokens, isRequired },
      deps.clock,
    );
    this.#routes = this.#listRoutes();
    this.#gate = new Gate(new RouteTable(this.#routes), deps.settings);
    this.#elysia = this.#wire(this.#routes, deps.settings);
  }

  openapi(): Record<string, unknown> {
    return openapiDocument(this.#routes, this.#server.deps.version);
  }

  #listRoutes(): Route[] {
    const server = this.#server;
    return [
      modelList(server),
      modelRetrieve(server),
      chatCompletions(server),
      completions(server),
      embeddings(server),
      chatInputTokens(server),
      chatRender(server),
      ...lmstudioRoutes(server),
      ...systemRoutes(server, this.#budget),
      ...swaggerRoutes(server.deps, () => this.openapi()),
    ];
  }

  #wire(routes: readonly Route[], settings: HttpSettings) {
    const elysia = new Elysia();
    if (settings.cors !== null) elysia.use(corsPlugin(settings.cors));
    elysia.onRequest(({ request }) => {
      const context = this.#contexts.get(request);
      return context && this.#gate.check(context);
    });
    for (const route of routes) {
      const pattern = route.path.replace("{id}", "*");
      elysia.route(route.method, pattern, ({ request }) => this.#answer(route, request), {
        parse: "none",
      });
    }
    // Answers of routes never throw; this is for what happens between them.
    elysia.onError(({ error, path }) => answerError(error, path));
    return elysia;
  }

  async fetch(request: Request, connection: Connection | null): Promise<Response> {
    const { clock } = this.#server.deps;
    const context: RequestContext = {
      id: randomHexId("req_"),
      request,
      path: normalPath(request.url),
      address: connection?.requestIP(request)?.address ?? "127.0.0.1",
      startMs: clock.monotonicMs(),
      connection,
      facts: { model: null, promptTokens: 0, completionTokens: 0, outcome: null },
      warnings: [],
      caller: ANYBODY,
      route: null,
      isStreaming: false,
    };
    return this.#finish(context, await this.#route(context));
  }

  async #route(context: RequestContext): Promise<Response> {
    try {
      const routed = routable(context);
      this.#contexts.set(routed, context);
      return await this.#elysia.handle(routed);
    } catch (error) {
      recordFailure(this.#server, context, error);
      return answerError(error, context.path);
    }
  }

  async #answer(route: Route, routed: Request): Promise<Response> {
    const context = this.#contexts.get(routed);
    if (!context) return answerError(null, route.path);
    context.route = route.path;
    try {
      if (route.permission !== "public") {
        const { request, address } = context;
        context.caller = this.#authenticator.check(request.headers, address);
        checkPermission(context.caller, route.permission);
        const { settings } = this.#server.deps;
        if (isManagement(route.permission)) checkSameOrigin(request, settings.cors);
      }
      if (route.method === "POST") return await this.#post(route, context);
      return await route.answer(context, idOf(route.path, context.path));
    } catch (error) {
      recordFailure(this.#server, context, error);
      // Nobody reads this answer: the status is for the log.
      if (context.request.signal.aborted) return new Response(null, { status: CLIENT_GONE });
      return answerError(error, context.path);
    }
  }

  async #post(route: PostRoute, context: RequestContext): Promise<Response> {
    const { deps } = this.#server;
    const { value, bytes } = await readJsonObject(context.request, {
      maxBytes: deps.settings.maxBodyBytes,
      budget: this.#budget,
      clock: deps.clock,
    });
    try {
      return await route.answer(context, value);
    } finally {
      this.#budget.give(bytes);
    }
  }

  /** Headers that every answer carries, and the log line of those that are complete. */
  #finish(context: RequestContext, response: Response): Response {
    const { headers } = response;
    headers.set("x-request-id", context.id);
    headers.set("request-id", context.id);
    headers.set("x-content-type-options", "nosniff");
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
    const warning = warningHeader(context);
    if (warning !== null) headers.set("x-lmserver-warning", warning);
    tidyCorsHeaders(headers);
    if (context.isStreaming) return response;
    const ms = this.#server.deps.clock.monotonicMs() - context.startMs;
    headers.set("openai-processing-ms", String(Math.round(ms)));
    const isHead = context.request.method === "HEAD";
    const bytes = isHead ? 0 : Number(headers.get("content-length") ?? 0);
    closeWhenIdle(context, bytes);
    recordAnswer(this.#server, context, { status: response.status, bytes });
    if (!isHead) return response;
    headers.set("date", new Date().toUTCString()); // which the runtime leaves out without a body
    return new Response(null, { status: response.status, headers });
  }
}

const SHORTEST_ORIGIN = 11;

/** The request as Elysia shall route it: normalised path, GET for HEAD. Only its head is used. */
function routable({ request, path }: RequestContext): Request {
  const isHead = request.method === "HEAD";
  // Elysia looks for the path from the eleventh character on: behind a short Host it finds another.
  const isFound = request.url.slice(request.url.indexOf("/", SHORTEST_ORIGIN)) === path;
  if (isFound && !isHead) return request;
  const method = isHead ? "GET" : request.method;
  return new Request(`http://localhost${path}`, { method, headers: request.headers });
}

/** The decoded rest of a path whose route ends with `{id}`. @throws LmError on a bad escape. */
function idOf(template: string, path: string): string {
  if (!template.endsWith("{id}")) return "";
  try {
    return decodeURIComponent(path.slice(template.length - "{id}".length));
  } catch (cause) {
    throw invalidRequest(null, "invalid_value", "The path holds a malformed percent escape.", {
      cause,
    });
  }
}
