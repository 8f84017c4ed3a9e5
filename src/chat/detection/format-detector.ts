import { detectFormat, type DetectedFormat, type DetectionInput } from "./detect-format.ts";

/** Templates remembered; more than models that one machine serves. */
const CAPACITY = 64;

/**
 * Detects formats once per template: models that share one share the answer. The vocabulary and the
 * chosen format are part of what decides, so they are part of the key.
 */
export class FormatDetector {
  readonly #known = new Map<string, Promise<DetectedFormat>>();

  /** @param vocabulary Tells vocabularies apart, for example the path of the model. */
  detect(input: DetectionInput, vocabulary: string): Promise<DetectedFormat> {
    const key = [Bun.hash(input.source), input.formatName ?? "", vocabulary].join("|");
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
