import { Type } from "typebox";
import * as numbers from "./number-settings.ts";
import { setting } from "./setting.ts";
import * as words from "./word-settings.ts";

const ORIGIN = "^[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\\[[0-9a-f:.]+\\])(:(\\d{1,5}|\\*))?$";
const HOST = "^[A-Za-z0-9._:%-]+$";

/** `[::1]` as in a URL. */
const withoutBrackets = (address: string): string => address.replace(/^\[(.*)\]$/, "$1");

/** `true` and `*` mean any origin, `false` none. */
function readOrigins(texts: readonly string[]): unknown {
  const items = texts.flatMap((text) => text.split(",")).map((item) => item.trim().toLowerCase());
  if (items.some((item) => item === "*" || item === "true")) return "*";
  return items.every((item) => item === "false") ? null : items;
}

/** Where the server listens, and from which web pages and under which names it may be used. */
export const NETWORK_SETTINGS = {
  port: numbers.integerSetting({
    flag: "port",
    short: "p",
    fallback: 1234,
    minimum: 0,
    maximum: 65_535,
    help: "Port to listen on; 0 = any free one, which is printed",
  }),
  bind: setting({
    flag: "bind",
    otherFlag: "host",
    otherEnv: ["LMS_SERVER_HOST"],
    argument: "<address>",
    schema: Type.String({ minLength: 1, pattern: HOST }),
    fallback: "127.0.0.1",
    accepts: "an address or host name",
    read: (texts) => withoutBrackets(texts.at(-1) ?? ""),
    fromFile: (value) => (typeof value === "string" ? withoutBrackets(value) : value),
    help: "Address to listen on; 0.0.0.0 = all networks, localhost = 127.0.0.1 and ::1",
  }),
  cors: setting({
    flag: "cors",
    argument: "[origins]",
    bareValue: "*",
    isList: true,
    schema: Type.Union([
      Type.Literal("*"),
      Type.Null(),
      Type.Array(Type.String({ pattern: ORIGIN })),
    ]),
    fallback: null,
    accepts: "an origin such as https://a.example or http://localhost:*, or *",
    read: readOrigins,
    fromFile: (value) =>
      readOrigins((Array.isArray(value) ? value : [value]).map((item: unknown) => String(item))),
    help: "Let web pages of these origins use the server; alone = any origin",
  }),
  allowedHosts: words.listSetting({
    flag: "allowed-hosts",
    argument: "<names>",
    wordSeparator: ",",
    accepts: "a host name without port",
    pattern: "^[A-Za-z0-9._-]+$",
    help: "More names clients may use in the Host header",
  }),
} as const;

/** Which keys a request must bring. */
export const KEY_SETTINGS = {
  apiKeys: words.secretListSetting({
    flag: "api-key",
    argument: "<key>",
    help: "Require this key; may be repeated. Visible in the process list: prefer --api-key-file",
  }),
  apiKeyFile: words.textSetting({
    flag: "api-key-file",
    argument: "<file>",
    help: "Require a key of this file, one per line",
  }),
  requireAuth: words.openFlagSetting({
    flag: "require-auth",
    help: "Demand a key or token of every request (default: only where a key is given; tokens alone do not)",
  }),
} as const;
