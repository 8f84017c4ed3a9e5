import { resolveFolders } from "../config/paths.ts";
import * as kinds from "../config/setting.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import { runningServer, type ServerState } from "./state-lock.ts";

/** Flags of the verbs that ask a running server. */
export const CLIENT_FLAGS = {
  host: kinds.textSetting({
    flag: "host",
    argument: "<address>",
    flagOnly: true,
    help: "Where the server is (default: this machine)",
  }),
  port: kinds.autoIntegerSetting({
    flag: "port",
    short: "p",
    minimum: 1,
    maximum: 65_535,
    flagOnly: true,
    help: "Port of the server (default: that of this user's server, else 1234)",
  }),
  apiKey: {
    ...kinds.textSetting({
      flag: "api-key",
      argument: "<key>",
      help: "Key to show to the server (or set LM_API_TOKEN)",
    }),
    env: ["LM_API_TOKEN", "LMSERVER_API_KEY"],
    fileKey: null,
    isSecret: true,
  },
  stateDir: SERVE_SETTINGS.stateDir,
  json: JSON_OUTPUT,
};

export interface Target {
  url: string;
  port: number;
  /** The server of this user when it is the one meant. */
  own: ServerState | null;
  apiKey: string | null;
}

/** Which server the flags mean: the named one, else this user's, else the default port here. */
export function findServer(
  values: {
    host: string | null;
    port: number | null;
    stateDir: string | null;
    apiKey: string | null;
  },
  env: Terminal["env"],
): Target {
  const found = resolveFolders({ modelsDirs: [], stateDir: values.stateDir, cacheDir: null }, env);
  const stateDir = values.stateDir ?? ("folders" in found ? found.folders.stateDir : null);
  const state = stateDir === null ? null : runningServer(stateDir);
  const { host, apiKey } = values;
  const port = values.port ?? (host === null ? state?.port : null) ?? SERVE_SETTINGS.port.fallback;
  const isOwn = host === null && state !== null && state.port === port;
  const name = host ?? "127.0.0.1";
  const url =
    isOwn && state.url !== null
      ? state.url
      : `http://${name.includes(":") && !name.startsWith("[") ? `[${name}]` : name}:${port}`;
  return { url, port, own: isOwn ? state : null, apiKey };
}

/**
 * A JSON document of the server.
 * @throws ExitError unreachable when nothing answers, failed when it answers an error.
 */
export async function getJson(target: Target, path: string): Promise<unknown> {
  const { url, apiKey } = target;
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, {
      headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(5_000),
      redirect: "error",
    });
  } catch (error) {
    throw new ExitError(EXIT.unreachable, `No server answers at ${url}.`, { cause: error });
  }
  const text = await response.text();
  if (!response.ok)
    throw new ExitError(EXIT.failed, `The server answered ${response.status}: ${messageOf(text)}`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ExitError(EXIT.failed, `What answers at ${url} is no lmserver.`, { cause: error });
  }
}

/** The message of an error body, or its beginning. */
function messageOf(text: string): string {
  try {
    const body = JSON.parse(text) as { error?: { message?: unknown } };
    if (typeof body.error?.message === "string") return body.error.message;
  } catch {
    return text.slice(0, 200); // not ours
  }
  return text.slice(0, 200);
}
