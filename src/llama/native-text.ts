import { assert } from "../lib/assert.ts";

const encoder = new TextEncoder();

/** UTF-8 with a terminating NUL, for one call. @throws AssertionError when the text holds a NUL. */
export function cString(text: string): Uint8Array {
  assert(!text.includes("\0"), "a C string cannot hold a NUL");
  return encoder.encode(`${text}\0`);
}

/**
 * Reads text from a function that fills a buffer and returns the length it needs, as snprintf does.
 * @returns null when the function reports a failure.
 */
export function readText(fill: (buffer: Uint8Array, size: number) => number): string | null {
  for (let size = 1024; ;) {
    const buffer = new Uint8Array(size);
    const length = fill(buffer, size);
    if (length < 0) return null;
    if (length < size) return new TextDecoder().decode(buffer.subarray(0, length));
    size = length + 1;
  }
}
