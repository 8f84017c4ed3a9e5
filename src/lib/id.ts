const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/**
 * `prefix` followed by `length` random letters and digits from the system's secure source.
 * 62 symbols: 26 of them carry 154 bits.
 */
export function randomId(prefix: string, length: number): string {
  let id = prefix;
  while (id.length < prefix.length + length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // 248 = 4 * 62: larger bytes are dropped so that each symbol is equally likely.
      if (byte < 248 && id.length < prefix.length + length) id += ALPHABET[byte % 62];
    }
  }
  return id;
}

/** `prefix` followed by 32 hexadecimal digits (128 random bits). */
export function randomHexId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll("-", "");
}

/** `prefix` followed by `digits` (an even number) random hexadecimal digits. */
export function randomHex(prefix: string, digits: number): string {
  return prefix + crypto.getRandomValues(new Uint8Array(digits / 2)).toHex();
}
