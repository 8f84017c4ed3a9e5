import { detectFormat, type DetectedFormat, type DetectionInput } from "./detect-format.ts";

/** Templates remembered; more than models that one machine serves. */
const CAPACITY = 64;

/**
 * Detects formats once per template: models that share one share the answer. The vocabulary decides
 * with it, so what is asked of it is part of the key.
 */
export class FormatDetector {
  readonly #known = new Map<string, Promise<DetectedFormat>>();

  detect(input: DetectionInput): Promise<DetectedFormat> {
    const { source, singleTokens } = input;
    const key = JSON.stringify([String(Bun.hash(source)), ...[...singleTokens].toSorted()]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = detectFormat(input);
    this.#known.set(key, found);
    found.catch(() => this.#known.delete(key));
    const [oldest] = this.#known.keys();
    if (this.#known.size > CAPACITY && oldest !== undefined) this.#known.delete(oldest);
    return found;
  }
}
