import { resolveFolders } from "../config/paths.ts";
import * as numbers from "../config/number-settings.ts";
import * as words from "../config/word-settings.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import { runningServer, type ServerState } from "./state-lock.ts";

/** Flags of the verbs that ask a running server. */
export const CLIENT_FLAGS = {
  host: words.textSetting({
    flag: "host",
    argument: "<address>",
    flagOnly: true,
    help: "Where the server is, an address, address:port or URL (default: this machine)",
  }),
  port: numbers.autoIntegerSetting({
    flag: "port",
    short: "p",
    minimum: 1,
    maximum: 65_535,
    flagOnly: true,
    help: "Port of the server (default: that of this user's server, else 1234)",
  }),
  apiKey: {
    ...words.textSetting({
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
  quiet: words.flagSetting({
    flag: "quiet",
    fallback: false,
    flagOnly: true,
    help: "Print results only, no messages and no progress",
  }),
  verbose: words.flagSetting({
    flag: "verbose",
    fallback: false,
    flagOnly: true,
    help: "Say what is asked of the server",
  }),
};

export interface Target {
  url: string;
  port: number;
  /** The server of this user when it is the one meant. */
  own: ServerState | null;
  apiKey: string | null;
  /** Takes a line about each question. */
  trace: (line: string) => void;
  /** Takes what the server says beside an answer. */
  warn: (text: string) => void;
}

interface TargetFlags {
  host: string | null;
  port: number | null;
  stateDir: string | null;
  apiKey: string | null;
  json: boolean;
  quiet: boolean;
  verbose: boolean;
}

/**
 * Which server the flags mean: the named one, else this user's, else the default port here.
 * @throws ExitError usage when the host makes no URL.
 */
export function findServer(
  values: TargetFlags,
  { env, note }: Pick<Terminal, "env" | "note">,
): Target {
  const found = resolveFolders({ modelsDirs: [], stateDir: values.stateDir, cacheDir: null }, env);
  const stateDir = values.stateDir ?? ("folders" in found ? found.folders.stateDir : null);
  const state = stateDir === null ? null : runningServer(stateDir);
  const { host, apiKey } = values;
  const reports = reportsTo(note, values);
  if (host !== null && /^https?:/.test(host)) {
    const url = namedUrl(host, host, values.port);
    return { ...url, own: null, apiKey, ...reports };
  }
  const port = values.port ?? (host === null ? state?.port : null) ?? SERVE_SETTINGS.port.fallback;
  const isOwn = host === null && state !== null && state.port === port;
  if (isOwn && state.url !== null) return { url: state.url, port, own: state, apiKey, ...reports };
  const name = host ?? "127.0.0.1";
  const isBareV6 = name.split(":").length > 2 && !name.startsWith("[");
  const hasPort = /^([^:]*|\[.*\]):\d+$/.test(name);
  const text = `http://${isBareV6 ? `[${name}]` : name}`;
  const named = namedUrl(text, name, hasPort ? values.port : port);
  return { ...named, own: isOwn ? state : null, apiKey, ...reports };
}

function reportsTo(
  note: Terminal["note"],
  { json, quiet, verbose }: TargetFlags,
): Pick<Target, "trace" | "warn"> {
  const silent = () => undefined;
  return {
    trace: verbose ? note : silent,
    warn: json || quiet ? silent : (text) => note(`warning: ${text}`),
  };
}

/** @param typed What the person wrote, for the message. */
function namedUrl(text: string, typed: string, port: number | null): { url: string; port: number } {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.pathname !== "/" || url.search !== "")
    throw new ExitError(
      EXIT.usage,
      `--host: ${JSON.stringify(typed.slice(0, 80))} is not an address, address:port or URL`,
    );
  if (port !== null) url.port = String(port);
  const standard = url.protocol === "https:" ? 443 : 80;
  return { url: url.origin, port: url.port === "" ? standard : Number(url.port) };
}
