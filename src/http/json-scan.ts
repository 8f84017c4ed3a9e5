import { invalidRequest, type LmError } from "../lib/errors.ts";
import { MAX_JSON_ARRAY_ITEMS, MAX_JSON_DEPTH, MAX_JSON_KEYS } from "../lib/limits.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

/**
 * Refuses JSON that costs much more to parse than to send: nesting, keys and array items are
 * counted on the bytes, strings are skipped. Whether the text is JSON at all is the parser's
 * question. One pass, no allocation that grows with the input.
 *
 * @returns The number of bytes read, which is all of them.
 * @throws LmError invalid_request (invalid_json) at the byte that goes beyond a limit.
 */
export function scanJson(bytes: Uint8Array): number {
  // Commas seen in the open containers; the index is the depth.
  const commas = new Uint32Array(MAX_JSON_DEPTH + 1);
  const arrays = new Uint8Array(MAX_JSON_DEPTH + 1);
  let depth = 0;
  let keys = 0;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        at = endOfString(bytes, at);
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        if (++depth > MAX_JSON_DEPTH) throw tooMuch(`more than ${MAX_JSON_DEPTH} levels`, at);
        commas[depth] = 0;
        arrays[depth] = bytes[at] === OPEN_ARRAY ? 1 : 0;
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        if (depth > 0) depth--;
        break;
      case COLON:
        if (++keys > MAX_JSON_KEYS) throw tooMuch(`more than ${MAX_JSON_KEYS} object keys`, at);
        break;
      case COMMA: {
        const count = (commas[depth] ?? 0) + 1;
        commas[depth] = count;
        if (arrays[depth] === 1 && count >= MAX_JSON_ARRAY_ITEMS) {
          throw tooMuch(`an array of more than ${MAX_JSON_ARRAY_ITEMS} items`, at);
        }
        break;
      }
      default:
    }
  }
  return bytes.length;
}

/** Index of the closing quote, or the length when the string does not end. */
function endOfString(bytes: Uint8Array, start: number): number {
  let end = bytes.indexOf(QUOTE, start + 1);
  while (end !== -1) {
    let slashes = 0;
    while (bytes[end - 1 - slashes] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return end;
    end = bytes.indexOf(QUOTE, end + 1);
  }
  return bytes.length;
}

function tooMuch(what: string, at: number): LmError {
  return invalidRequest(
    null,
    "invalid_json",
    `We could not parse the JSON body of your request: it holds ${what} (at byte ${at + 1}).`,
  );
}
