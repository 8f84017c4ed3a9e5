const HEX = "[0-9a-fA-F]";
/** Years whose 29th of February exists. */
const LEAP_YEAR = "(\\d{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
const DAY_28 = "(0[1-9]|1\\d|2[0-8])";
const DAY_30 = "(0[1-9]|[12]\\d|30)";
const DAY_31 = "(0[1-9]|[12]\\d|3[01])";
const MONTH_DAY = `(02-${DAY_28}|(04|06|09|11)-${DAY_30}|(01|03|05|07|08|10|12)-${DAY_31})`;
const DATE = `(\\d{4}-${MONTH_DAY}|${LEAP_YEAR}-02-29)`;
const CLOCK = "([01]\\d|2[0-3]):[0-5]\\d";
const TIME = `${CLOCK}:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]${CLOCK})`;
/** As ISO 8601 has it: seconds and offset may be missing, a second may be a leap second. */
const ANY_TIME = `${CLOCK}(:([0-5]\\d|60)([.,]\\d+)?)?([Zz]|[+-]${CLOCK})?`;
const OCTET = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = `${OCTET}(\\.${OCTET}){3}`;
const LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
const HOST = `${LABEL}(\\.${LABEL}){0,7}`;
const MAIL_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,36}[a-zA-Z0-9])?";
/** No longer than 254 characters, which is what most schemas allow. */
const MAIL = `[a-zA-Z0-9_+-](\\.?[a-zA-Z0-9_+-]){0,43}@${MAIL_LABEL}(\\.${MAIL_LABEL}){1,3}`;
const GROUP = `${HEX}{1,4}`;
const PATH_CHAR = "[a-zA-Z0-9._~!$&()*+,;=:@/-]";
const CLOCK_DURATION = "T(\\d{1,4}H(\\d{1,4}M(\\d{1,4}S)?)?|\\d{1,4}M(\\d{1,4}S)?|\\d{1,4}S)";
const DURATION =
  `P(\\d{1,4}W|${CLOCK_DURATION}|\\d{1,4}D(${CLOCK_DURATION})?` +
  `|\\d{1,4}M(\\d{1,4}D)?(${CLOCK_DURATION})?` +
  `|\\d{1,4}Y(\\d{1,4}M(\\d{1,4}D)?)?(${CLOCK_DURATION})?)`;
const NUMBER = "\\d+([.,]\\d+)?";
const ANY_DURATION =
  `[+-]?P(?=.)(${NUMBER}Y)?(${NUMBER}M)?(${NUMBER}W)?(${NUMBER}D)?` +
  `(T(?=.)(${NUMBER}H)?(${NUMBER}M)?(${NUMBER}S)?)?`;

/** Addresses with each number of groups on both sides of the gap. */
const IPV6 = [
  `(${GROUP}:){7}${GROUP}`,
  `(${GROUP}:){1,7}:`,
  ...[6, 5, 4, 3, 2].map((left) => `(${GROUP}:){1,${left}}(:${GROUP}){1,${7 - left}}`),
  `${GROUP}:(:${GROUP}){1,6}`,
  `:(:${GROUP}){1,7}`,
  "::",
].join("|");

const IPV4_LENGTH = "/([0-9]|[12][0-9]|3[0-2])";
const IPV6_LENGTH = "/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])";
const ANY_IPV6 = `${HEX}{0,4}(:${HEX}{0,4}){2,7}(\\.\\d+){0,3}`;
/** Networks whose addresses have no bits behind the prefix. */
const NETWORK = `(${OCTET}\\.0\\.0\\.0/8|${OCTET}\\.${OCTET}\\.0\\.0/16|(${OCTET}\\.){3}0/24|${IPV4}/32)`;
const BASE64 = "([a-zA-Z0-9+/]{4})*([a-zA-Z0-9+/]{2}==|[a-zA-Z0-9+/]{3}=)?";
const BASE64URL = "([a-zA-Z0-9_-]{4})*([a-zA-Z0-9_-]{2}==|[a-zA-Z0-9_-]{3}=)?";

/** A string format as ECMA-262 patterns. */
export interface StringFormat {
  /** Valid values only, and the usual forms of them: what a model writes. */
  usual: string;
  /** Every valid value, and perhaps others: what is not refused. */
  full: string;
}

function format(usual: string, full: string = usual): StringFormat {
  return { usual: `^(?:${usual})$`, full: `^(?:${full})$` };
}

/** @param middle The groups of version and variant. */
function uuidOf(middle: string): string {
  return `${HEX}{8}-${HEX}{4}-${middle}-${HEX}{12}`;
}

/**
 * Each string format that is enforced: those of JSON Schema, of zod and of Pydantic. Sources: RFC
 * 3339, 9562, 5321, 2673, 4291, 1123, 3986, 7519, 4648; ISO 8601.
 */
export const STRING_FORMATS: ReadonlyMap<string, StringFormat> = new Map<string, StringFormat>([
  ["date", format(DATE)],
  ["time", format(TIME, ANY_TIME)],
  ["date-time", format(`${DATE}T${TIME}`, `${DATE}[Tt ]${ANY_TIME}`)],
  ["duration", format(DURATION, ANY_DURATION)],
  ["uuid", format(uuidOf(`${HEX}{4}-${HEX}{4}`))],
  ["email", format(MAIL, '([^\\s@]+|".+")@[^\\s@]+')],
  ["hostname", format(HOST, "[^\\s/:?#@]+")],
  ["ipv4", format(IPV4)],
  ["ipv6", format(IPV6, ANY_IPV6)],
  [
    "uri",
    format(
      `[a-z][a-z0-9]{1,15}://${HOST}(:\\d{1,4})?(/${PATH_CHAR}{0,200}(\\?${PATH_CHAR}{1,200})?(#${PATH_CHAR}{1,50})?)?`,
      "[a-zA-Z][a-zA-Z0-9+.-]*:[^\\s]*",
    ),
  ],
  ["jwt", format("[a-zA-Z0-9_-]+\\.[a-zA-Z0-9_-]+\\.[a-zA-Z0-9_-]*")],
  ["base64", format(BASE64, "[a-zA-Z0-9+/]*={0,2}")],
  ["base64url", format(BASE64URL, "[a-zA-Z0-9_-]*={0,2}")],
  ...[1, 3, 4, 5, 6, 7, 8].map(
    (version) =>
      [`uuid${version}`, format(uuidOf(`${version}${HEX}{3}-[89abAB]${HEX}{3}`))] as const,
  ),
  ["ipv4network", format(NETWORK, `${IPV4}(/.+)?`)],
  ["ipv6network", format(IPV6, `${ANY_IPV6}(/.+)?`)],
  ["ipv4interface", format(`${IPV4}(${IPV4_LENGTH})?`, `${IPV4}(/.+)?`)],
  ["ipv6interface", format(`(${IPV6})(${IPV6_LENGTH})?`, `${ANY_IPV6}(/.+)?`)],
  ["ipvanyaddress", format(`${IPV4}|${IPV6}`, `${IPV4}|${ANY_IPV6}`)],
  ["ipvanynetwork", format(`${NETWORK}|${IPV6}`, `(${IPV4}|${ANY_IPV6})(/.+)?`)],
  ["ipvanyinterface", format(`${IPV4}(${IPV4_LENGTH})?|${IPV6}`, `(${IPV4}|${ANY_IPV6})(/.+)?`)],
]);
