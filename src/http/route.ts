import type { TSchema } from "typebox";
import type { Permission } from "./permission.ts";
import type { RequestContext } from "./request-context.ts";

/** All are optional; the values of a list stand in one word, with commas. */
interface QueryParameter {
  name: string;
  description: string;
  schema: TSchema;
  example: unknown;
}

/** How the OpenAPI document shows a route. */
export interface RouteDoc {
  summary: string;
  tag: string;
  response: { description: string; schema: TSchema | null; example: unknown; type?: string };
  /** What may stand behind the `?`. */
  query?: readonly QueryParameter[];
  /** A second form of the answer: server-sent events. */
  stream?: { schema: TSchema; example: string };
}

/** A path that names a thing holds `{id}` at its end, which may contain slashes. */
interface RouteBase {
  path: string;
  permission: Permission;
  /** null = not part of the API's document. */
  doc: RouteDoc | null;
}

export interface GetRoute extends RouteBase {
  method: "GET";
  /** @param id Decoded value of `{id}`, "" when the path has none. */
  answer(context: RequestContext, id: string): Promise<Response> | Response;
}

export interface PostRoute extends RouteBase {
  method: "POST";
  body: TSchema;
  bodyExample: Record<string, unknown>;
  /** @param body A JSON object; the route validates it. */
  answer(context: RequestContext, body: Record<string, unknown>): Promise<Response>;
}

export type Route = GetRoute | PostRoute;

/** Which methods a path has. Answers the questions that come before routing. */
export class RouteTable {
  readonly #exact = new Map<string, string[]>();
  readonly #prefixes: { prefix: string; methods: string[] }[] = [];

  constructor(routes: readonly Route[]) {
    for (const { path, method } of routes) {
      const methods = method === "GET" ? ["GET", "HEAD"] : [method];
      if (path.endsWith("{id}")) this.#prefixes.push({ prefix: path.slice(0, -4), methods });
      else this.#exact.set(path, [...(this.#exact.get(path) ?? []), ...methods]);
    }
  }

  /** @returns null when no route has this path. */
  methods(path: string): readonly string[] | null {
    const exact = this.#exact.get(path);
    if (exact) return exact;
    const match = this.#prefixes.find(
      ({ prefix }) => path.startsWith(prefix) && path.length > prefix.length,
    );
    return match?.methods ?? null;
  }
}

/**
 * The path of a URL as routes spell it: single slashes, none at the end, no query.
 * @param url Absolute, or only the path: so a request without Host arrives.
 */
export function normalPath(url: string): string {
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  const end = url.slice(start).search(/[?#]/);
  const path = start === -1 ? "/" : end === -1 ? url.slice(start) : url.slice(start, start + end);
  const single = path.replace(/\/{2,}/g, "/");
  return single.length > 1 && single.endsWith("/") ? single.slice(0, -1) : single;
}
