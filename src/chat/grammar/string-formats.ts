const HEX = "[0-9a-fA-F]";
const TWO = "[0-9]{2}";
/** Years whose 29th of February exists. */
const LEAP_YEAR = `( ${TWO} ( "0" [48] | [2468] [048] | [13579] [26] ) | ( [02468] [048] | [13579] [26] ) "00" )`;
const DAY_28 = '( "0" [1-9] | "1" [0-9] | "2" [0-8] )';
const DAY_30 = '( "0" [1-9] | [12] [0-9] | "30" )';
const DAY_31 = '( "0" [1-9] | [12] [0-9] | "3" [01] )';
const MONTH_DAY =
  `( "02-" ${DAY_28} | ( "04" | "06" | "09" | "11" ) "-" ${DAY_30}` +
  ` | ( "01" | "03" | "05" | "07" | "08" | "10" | "12" ) "-" ${DAY_31} )`;
const DATE = `( [0-9]{4} "-" ${MONTH_DAY} | ${LEAP_YEAR} "-02-29" )`;
const CLOCK = '( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9]';
const TIME = `${CLOCK} ":" [0-5] [0-9] ( "." [0-9]{1,9} )? ( "Z" | [+-] ${CLOCK} )`;
const OCTET = '( "25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9]? [0-9] )';
const LABEL = "[a-zA-Z0-9] ( [a-zA-Z0-9-]{0,61} [a-zA-Z0-9] )?";
const HOST = `${LABEL} ( "." ${LABEL} ){0,7}`;
const GROUP = `${HEX}{1,4}`;
const PATH_CHAR = "[a-zA-Z0-9._~!$&()*+,;=:@/-]";

/**
 * GBNF of the characters of each string format that is enforced. Each accepts only valid values,
 * and the usual forms of them. Sources: RFC 3339, 4122, 5321, 2673, 4291, 1123, 3986.
 */
export const STRING_FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", DATE],
  ["time", TIME],
  ["date-time", `${DATE} "T" ${TIME}`],
  [
    "duration",
    '"P" ( [0-9]{1,4} "W" | [0-9]{1,4} "D" ( "T" [0-9]{1,4} [HMS] )? | "T" [0-9]{1,4} [HMS] | [0-9]{1,4} [YM] )',
  ],
  ["uuid", `${HEX}{8} "-" ${HEX}{4} "-" ${HEX}{4} "-" ${HEX}{4} "-" ${HEX}{12}`],
  ["email", `[a-zA-Z0-9_+-] ( "."? [a-zA-Z0-9_+-] ){0,62} "@" ${LABEL} ( "." ${LABEL} ){1,4}`],
  ["hostname", HOST],
  ["ipv4", `${OCTET} ( "." ${OCTET} ){3}`],
  ["ipv6", `( ${GROUP} ( ":" ${GROUP} ){7} | ( ${GROUP} ( ":" ${GROUP} ){0,5} )? "::" ${GROUP}? )`],
  [
    "uri",
    `[a-z] [a-z0-9]{1,15} "://" ${HOST} ( ":" [0-9]{1,4} )? ( "/" ${PATH_CHAR}{0,200} ( "?" ${PATH_CHAR}{1,200} )? ( "#" ${PATH_CHAR}{1,50} )? )?`,
  ],
]);
