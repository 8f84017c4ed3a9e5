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
/** No longer than a label may be, whose characters need not be counted then. */
const SHORT_MAX = 63;
const SHORT_LABEL = "[a-zA-Z0-9](-*[a-zA-Z0-9])*";
const ANY_HOST = `${LABEL}(\\.${LABEL})*`;
const MAIL_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,36}[a-zA-Z0-9])?";
/** No longer than 254 characters, which is what most schemas allow. */
const MAIL = `[a-zA-Z0-9_+-](\\.?[a-zA-Z0-9_+-]){0,43}@${MAIL_LABEL}(\\.${MAIL_LABEL}){1,3}`;
const SHORT_MAIL = `[a-zA-Z0-9_+-](\\.?[a-zA-Z0-9_+-])*@${SHORT_LABEL}(\\.${SHORT_LABEL})+`;
/** Letters of other scripts, roughly, which addresses of RFC 6531 have. */
const OTHER_LETTERS = "\\u00c0-\\u1fff\\u2c00-\\u2dff\\u3040-\\ud7ff";
const ATOM = `[a-zA-Z0-9!#$%&'*+/=?^_\`{|}~${OTHER_LETTERS}-]+`;
const WIDE_LABEL = `[a-zA-Z0-9${OTHER_LETTERS}](-*[a-zA-Z0-9${OTHER_LETTERS}])*`;
const WIDE_MAIL = `${ATOM}(\\.${ATOM})*@${WIDE_LABEL}(\\.${WIDE_LABEL})*`;
const QUOTED = '"([ !#-\\[\\]-~]|\\\\[ -~])*"';
const ADDRESS_LITERAL = `\\[(${OCTET}(\\.${OCTET}){3}|[a-zA-Z0-9-]*:[!-Z^-~]+)\\]`;
const ANY_MAIL =
  `(?=.{1,64}@)(${ATOM}(\\.${ATOM})*|${QUOTED})@` +
  `((?=.{1,255}$)${WIDE_LABEL}(\\.${WIDE_LABEL})*|${ADDRESS_LITERAL})`;
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
/** With an IPv4 address in place of the last two groups, too. */
const ANY_IPV6 = [
  IPV6,
  `(${GROUP}:){6}${IPV4}`,
  ...[5, 4, 3, 2, 1].map((left) => `(${GROUP}:){1,${left}}(:${GROUP}){0,${5 - left}}:${IPV4}`),
  `:(:${GROUP}){0,5}:${IPV4}`,
].join("|");
const ANY_NETWORK = `${IPV4}(${IPV4_LENGTH}|/${IPV4})?`;
const ANY_IPV6_NETWORK = `(${ANY_IPV6})(${IPV6_LENGTH})?`;
/** Networks whose addresses have no bits behind the prefix. */
const NETWORK = `(${OCTET}\\.0\\.0\\.0/8|${OCTET}\\.${OCTET}\\.0\\.0/16|(${OCTET}\\.){3}0/24|${IPV4}/32)`;
const BASE64 = "([a-zA-Z0-9+/]{4})*([a-zA-Z0-9+/]{2}==|[a-zA-Z0-9+/]{3}=)?";
const BASE64URL = "([a-zA-Z0-9_-]{4})*([a-zA-Z0-9_-]{2}==|[a-zA-Z0-9_-]{3}=)?";

const SHORT_URI = `[a-z][a-z0-9]+://${SHORT_LABEL}(\\.${SHORT_LABEL})*(/(\\?|${PATH_CHAR})*)?`;
const ENCODED = `%${HEX}{2}`;
const SEGMENT_CHAR = `([a-zA-Z0-9._~!$&'()*+,;=:@-]|${ENCODED})`;
const ANY_PATH_CHAR = `([a-zA-Z0-9._~!$&'()*+,;=:@/-]|${ENCODED})`;
const QUERY = `([a-zA-Z0-9._~!$&'()*+,;=:@/?-]|${ENCODED})*`;
const NAME = `([a-zA-Z0-9._~!$&'()*+,;=-]|${ENCODED})*`;
const USER = `([a-zA-Z0-9._~!$&'()*+,;=:-]|${ENCODED})*@`;
const ADDRESS = `\\[(${ANY_IPV6}|[vV]${HEX}+\\.[a-zA-Z0-9._~!$&'()*+,;=:-]+)\\]`;
const uriAt = (host: string): string =>
  `[a-zA-Z][a-zA-Z0-9+.-]*:(//(${USER})?${host}(:\\d*)?(/${ANY_PATH_CHAR}*)?` +
  `|/?(${SEGMENT_CHAR}${ANY_PATH_CHAR}*)?)(\\?${QUERY})?(#${QUERY})?`;

/** A string format as ECMA-262 patterns. */
export interface StringFormat {
  /** Valid values only, and the usual forms of them: what a model writes. */
  usual: string;
  /** As `usual` up to `max` characters, which are easily counted in it. */
  short: string;
  /** As `short`, with all that a pattern beside it may ask for. */
  wide: string;
  /** Characters of values that count as `short` or `wide`; null = any number. */
  max: number | null;
  /** Every valid value, and other forms of ISO 8601: what is not refused. */
  full: string;
}

/** Forms that are missing are as `usual`. */
function format(
  usual: string,
  full: string = usual,
  { short = usual, wide = short, max = null }: Partial<StringFormat> = {},
): StringFormat {
  const whole = (pattern: string): string => `^(?:${pattern})$`;
  return {
    usual: whole(usual),
    short: whole(short),
    wide: whole(wide),
    max,
    full: whole(full),
  };
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
  ["email", format(MAIL, ANY_MAIL, { short: SHORT_MAIL, wide: WIDE_MAIL, max: SHORT_MAX })],
  [
    "hostname",
    format(HOST, `(?=.{1,253}$)${ANY_HOST}`, {
      short: `${SHORT_LABEL}(\\.${SHORT_LABEL})*`,
      max: SHORT_MAX,
    }),
  ],
  ["ipv4", format(IPV4)],
  ["ipv6", format(IPV6, ANY_IPV6)],
  [
    "uri",
    format(
      `[a-z][a-z0-9]{1,15}://${HOST}(:\\d{1,4})?(/${PATH_CHAR}{0,200}(\\?${PATH_CHAR}{1,200})?(#${PATH_CHAR}{1,50})?)?`,
      uriAt(`(${ADDRESS}|${NAME})`),
      { short: SHORT_URI, wide: uriAt(NAME) },
    ),
  ],
  ["jwt", format("[a-zA-Z0-9_-]+\\.[a-zA-Z0-9_-]+\\.[a-zA-Z0-9_-]*")],
  ["base64", format(BASE64)],
  [
    "base64url",
    format(BASE64URL, "[a-zA-Z0-9_-]*={0,2}", { wide: "[a-zA-Z0-9_-]*={0,2}", short: BASE64URL }),
  ],
  ...[1, 3, 4, 5, 6, 7, 8].map(
    (version) =>
      [`uuid${version}`, format(uuidOf(`${version}${HEX}{3}-[89abAB]${HEX}{3}`))] as const,
  ),
  ["ipv4network", format(NETWORK, ANY_NETWORK)],
  ["ipv6network", format(IPV6, ANY_IPV6_NETWORK)],
  ["ipv4interface", format(`${IPV4}(${IPV4_LENGTH})?`, ANY_NETWORK)],
  ["ipv6interface", format(`(${IPV6})(${IPV6_LENGTH})?`, ANY_IPV6_NETWORK)],
  ["ipvanyaddress", format(`${IPV4}|${IPV6}`, `${IPV4}|${ANY_IPV6}`)],
  ["ipvanynetwork", format(`${NETWORK}|${IPV6}`, `${ANY_NETWORK}|${ANY_IPV6_NETWORK}`)],
  [
    "ipvanyinterface",
    format(`${IPV4}(${IPV4_LENGTH})?|${IPV6}`, `${ANY_NETWORK}|${ANY_IPV6_NETWORK}`),
  ],
]);
