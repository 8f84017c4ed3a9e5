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

/**
 * Each string format that is enforced. Sources: RFC 3339, 9562, 5321, 2673, 4291, 1123, 3986, 7519;
 * ISO 8601.
 */
export const STRING_FORMATS: ReadonlyMap<string, StringFormat> = new Map([
  ["date", format(DATE)],
  ["time", format(TIME, ANY_TIME)],
  ["date-time", format(`${DATE}T${TIME}`, `${DATE}[Tt ]${ANY_TIME}`)],
  ["duration", format(DURATION, ANY_DURATION)],
  ["uuid", format(`${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}`)],
  ["email", format(MAIL, '([^\\s@]+|".+")@[^\\s@]+')],
  ["hostname", format(HOST, "[^\\s/:?#@]+")],
  ["ipv4", format(IPV4)],
  ["ipv6", format(IPV6, `${HEX}{0,4}(:${HEX}{0,4}){2,7}(\\.\\d+){0,3}`)],
  [
    "uri",
    format(
      `[a-z][a-z0-9]{1,15}://${HOST}(:\\d{1,4})?(/${PATH_CHAR}{0,200}(\\?${PATH_CHAR}{1,200})?(#${PATH_CHAR}{1,50})?)?`,
      "[a-zA-Z][a-zA-Z0-9+.-]*:[^\\s]*",
    ),
  ],
  ["jwt", format("[a-zA-Z0-9_-]+\\.[a-zA-Z0-9_-]+\\.[a-zA-Z0-9_-]*")],
]);
