import type { Catalog } from "../catalog/model.ts";
import type { Downloads } from "../catalog/download/downloads.ts";
import type { CheckPrompts, Generate, RenderChat } from "../chat/events.ts";
import type { TokenFile } from "../config/tokens.ts";
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";
import type { PoolManager } from "../pool/pool.ts";
import type { ResponseStore } from "../store/response-store.ts";
import type { LogFeed } from "./log-feed.ts";

/** Settings that decide how requests are answered. Filled from the configuration by the CLI. */
export interface HttpSettings {
  /** Accepted keys, which may do everything. */
  apiKeys: readonly string[];
  /** Everybody must show a key or token; so they must when there are keys. */
  requireAuth: boolean;
  /** `*` = any origin; a list holds `https://a.example` or `http://localhost:*`; null = off. */
  cors: "*" | readonly string[] | null;
  /** Host names accepted besides those the bind address implies; without port. */
  allowedHosts: readonly string[];
  /** The address listened on: "127.0.0.1", "localhost", "::1", "0.0.0.0", ... */
  bindAddress: string;
  /** The machine's own name. */
  hostname: string;
  maxBodyBytes: number;
  /** Upper limit of `n`. */
  maxChoices: number;
  jit: boolean;
  modelFallback: boolean;
  allowLlmEmbeddings: boolean;
  reasoningField: "reasoning_content" | "reasoning" | "both";
  /** 0 = none. */
  requestTimeoutMs: number;
  metrics: boolean;
  /** `ttl`, `identifier` and the like are accepted on /api/v1. */
  restExtensions: boolean;
  /** Callers with different keys share stored prefixes. */
  sharedPrefixCache: boolean;
}

export interface VersionInfo {
  /** Of this program, such as "0.1.0". */
  version: string;
  commit: string | null;
  /** llama.cpp release, such as "v0.5.0". */
  engine: string;
}

/** A file served as it is. */
export interface Asset {
  bytes: Uint8Array<ArrayBuffer>;
  /** Media type. */
  type: string;
}

/** All that the HTTP layer needs from the rest of the program. */
export interface Deps {
  settings: HttpSettings;
  generate: Generate;
  renderChat: RenderChat;
  checkPrompts: CheckPrompts;
  catalog: Pick<Catalog, "list" | "find" | "adapters">;
  pool: Omit<PoolManager, "close">;
  /** Tokens with permissions; null = only keys. */
  tokens: Pick<TokenFile, "find"> | null;
  /** Answers that may be continued; null = none is kept. */
  responses: Pick<ResponseStore, "save" | "chain" | "notSaved"> | null;
  /** null = models cannot be fetched. */
  downloads: Omit<Downloads, "close" | "restore" | "settled"> | null;
  version: VersionInfo;
  clock: Clock;
  log: Log;
  /** What `GET /api/lmserver/logs` shows. */
  logFeed: LogFeed;
  /** `prefix` and random letters and digits; see lib/id.ts. */
  newId(prefix: string, length: number): string;
  /** False while starting: /readyz and /health answer 503. */
  isReady(): boolean;
  /** True once shutting down: new work is answered 503. */
  isStopping(): boolean;
  /** A file of Swagger UI by name, such as "swagger-ui.css"; null = unknown. */
  swaggerAsset(name: string): Asset | null;
}

/** What `Bun.serve` hands to `fetch` beside the request. */
export interface Connection {
  requestIP(request: Request): { address: string } | null;
  /** Seconds without traffic before the connection closes; 0 = never. */
  timeout(request: Request, seconds: number): void;
}

/** The server as a function. */
export interface HttpApp {
  /** For `Bun.serve({ fetch, idleTimeout: IDLE_TIMEOUT_SECONDS })`. Never rejects. */
  fetch(request: Request, connection: Connection): Promise<Response>;
  /** The same without a connection; the peer counts as loopback. */
  handle(request: Request): Promise<Response>;
  /** The OpenAPI 3.1 document. */
  openapi(): Record<string, unknown>;
}
