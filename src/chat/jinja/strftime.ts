const MONTHS =
  "January February March April May June July August September October November December".split(
    " ",
  );
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

const pad = (value: number, width = 2, fill = "0"): string => String(value).padStart(width, fill);
const hour12 = (date: Date): number => date.getHours() % 12 || 12;

/** Whole days since the year began, counted in local time over any change of the clocks. */
const dayOfYear = (date: Date): number => {
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return (day - Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000;
};

function zone(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}${pad(size % 60)}`;
}

const CODES: ReadonlyMap<string, (date: Date) => string> = new Map([
  ["Y", (date: Date) => pad(date.getFullYear(), 4)],
  ["y", (date) => pad(date.getFullYear() % 100)],
  ["C", (date) => pad(Math.floor(date.getFullYear() / 100))],
  ["m", (date) => pad(date.getMonth() + 1)],
  ["B", (date) => MONTHS[date.getMonth()] ?? ""],
  ["b", (date) => (MONTHS[date.getMonth()] ?? "").slice(0, 3)],
  ["h", (date) => (MONTHS[date.getMonth()] ?? "").slice(0, 3)],
  ["d", (date) => pad(date.getDate())],
  ["e", (date) => pad(date.getDate(), 2, " ")],
  ["j", (date) => pad(dayOfYear(date), 3)],
  ["A", (date) => DAYS[date.getDay()] ?? ""],
  ["a", (date) => (DAYS[date.getDay()] ?? "").slice(0, 3)],
  ["w", (date) => String(date.getDay())],
  ["u", (date) => String(date.getDay() || 7)],
  ["U", (date) => pad(Math.floor((dayOfYear(date) + 6 - date.getDay()) / 7))],
  ["W", (date) => pad(Math.floor((dayOfYear(date) + 6 - ((date.getDay() + 6) % 7)) / 7))],
  ["H", (date) => pad(date.getHours())],
  ["k", (date) => pad(date.getHours(), 2, " ")],
  ["I", (date) => pad(hour12(date))],
  ["l", (date) => pad(hour12(date), 2, " ")],
  ["M", (date) => pad(date.getMinutes())],
  ["S", (date) => pad(date.getSeconds())],
  ["f", (date) => pad(date.getMilliseconds() * 1000, 6)],
  ["p", (date) => (date.getHours() < 12 ? "AM" : "PM")],
  ["P", (date) => (date.getHours() < 12 ? "am" : "pm")],
  ["s", (date) => String(Math.floor(date.getTime() / 1000))],
  ["z", zone],
  ["Z", () => ""],
  ["n", () => "\n"],
  ["t", () => "\t"],
  ["%", () => "%"],
]);

/** Codes that stand for several others, as in the C locale. */
const COMPOSED: ReadonlyMap<string, string> = new Map([
  ["F", "%Y-%m-%d"],
  ["D", "%m/%d/%y"],
  ["x", "%m/%d/%y"],
  ["T", "%H:%M:%S"],
  ["X", "%H:%M:%S"],
  ["R", "%H:%M"],
  ["r", "%I:%M:%S %p"],
  ["c", "%a %b %e %H:%M:%S %Y"],
]);

/** Python's `strftime` with English names, in local time. `%-d` drops leading zeros. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([A-Za-z%])/g, (whole, dash: string, code: string) => {
    const composed = COMPOSED.get(code);
    if (composed !== undefined) return strftime(date, composed);
    const text = CODES.get(code)?.(date);
    if (text === undefined) return whole;
    return dash === "-" ? text.replace(/^[0 ]+(?=.)/, "") : text;
  });
}
