import type { Alphabet } from "./alphabet.ts";
import type { CharSet } from "./char-set.ts";
import type { Language, Languages } from "./language.ts";
import { measure } from "./regex-grammar.ts";
import { UnsupportedPattern, type RegexNode } from "./regex-parse.ts";

/** Copies of a repeated part that looks ahead or holds an anchor. */
const MAX_COPIES = 16;

/** Whether a place is the beginning of the text; null = it may be. */
type AtStart = boolean | null;

/** The texts that an ECMA-262 pattern matches, which may match anywhere unless it is anchored. */
export function regexLanguage(root: RegexNode, languages: Languages, alphabet: Alphabet): Language {
  const reader = new RegexReader(languages, alphabet);
  const later = reader.followed(root, languages.anything, false);
  return languages.either(
    reader.followed(root, languages.anything, true),
    languages.joined(languages.times(languages.any, 1, null), later),
  );
}

/** Every set of characters in a pattern. */
export function setsOf(node: RegexNode): CharSet[] {
  switch (node.kind) {
    case "set":
      return [node.set];
    case "sequence":
      return node.items.flatMap(setsOf);
    case "choice":
      return node.options.flatMap(setsOf);
    case "repeat":
    case "look":
      return setsOf(node.item);
    default:
      return [];
  }
}

class RegexReader {
  readonly #languages: Languages;
  readonly #alphabet: Alphabet;
  readonly #known = new Map<RegexNode, Language | null>();

  constructor(languages: Languages, alphabet: Alphabet) {
    this.#languages = languages;
    this.#alphabet = alphabet;
  }

  /**
   * What `node` matches, followed by a text of `rest`.
   * @throws UnsupportedPattern for anchors and look-ahead in places where they would need memory.
   */
  followed(node: RegexNode, rest: Language, atStart: AtStart): Language {
    const languages = this.#languages;
    const alone = this.#alone(node);
    if (alone !== null) return languages.joined(alone, rest);
    switch (node.kind) {
      case "start":
        if (atStart === null) throw new UnsupportedPattern("an anchor that may stand anywhere");
        return atStart ? rest : languages.none;
      case "end":
        return rest.nullable ? languages.empty : languages.none;
      case "look": {
        const ahead = this.followed(node.item, languages.anything, atStart);
        return languages.both(node.negative ? languages.not(ahead) : ahead, rest);
      }
      case "choice":
        return languages.either(
          ...node.options.map((option) => this.followed(option, rest, atStart)),
        );
      case "repeat":
        return this.#repeated(node, rest, atStart);
      default:
        return this.#sequence(node.kind === "sequence" ? node.items : [], rest, atStart);
    }
  }

  #sequence(items: readonly RegexNode[], rest: Language, atStart: AtStart): Language {
    let at = atStart;
    const places = items.map((item) => {
      const place = at;
      at = this.#behind(item, at);
      return place;
    });
    return items.reduceRight(
      (following, item, index) => this.followed(item, following, places[index] ?? null),
      rest,
    );
  }

  #repeated(
    { item, min, max }: RegexNode & { kind: "repeat" },
    rest: Language,
    atStart: AtStart,
  ): Language {
    const most = max ?? MAX_COPIES + 1;
    if (most > MAX_COPIES) throw new UnsupportedPattern("a repeated group that looks ahead");
    let following = rest;
    for (let count = most; count > 0; count--) {
      const place = count === 1 ? atStart : this.#behind(item, null);
      const more = this.followed(item, following, place);
      following = count > min ? this.#languages.either(rest, more) : more;
    }
    return following;
  }

  /** Whether the place behind a part is the beginning of the text. */
  #behind(node: RegexNode, atStart: AtStart): AtStart {
    if (atStart === false || node.kind === "start" || node.kind === "look") return atStart;
    const alone = this.#alone(node);
    return alone === null || alone.nullable ? null : false;
  }

  /** What a part matches wherever it stands; null when that depends on what is around it. */
  #alone(node: RegexNode): Language | null {
    const known = this.#known.get(node);
    if (known !== undefined) return known;
    const found = this.#aloneOf(node);
    this.#known.set(node, found);
    return found;
  }

  /** Look-ahead is no matter of what is around where it ends within the sequence. */
  #sequenceAlone(items: readonly RegexNode[]): Language | null {
    const languages = this.#languages;
    let following = languages.empty;
    let least = 0;
    for (const item of items.toReversed()) {
      const part = this.#alone(item.kind === "look" ? item.item : item);
      if (part === null) return null;
      const { min, max } = measure(item.kind === "look" ? item.item : item);
      if (item.kind !== "look") {
        following = languages.joined(part, following);
        least += min;
        continue;
      }
      if (max === null || max > least) return null;
      const ahead = languages.joined(part, languages.anything);
      following = languages.both(item.negative ? languages.not(ahead) : ahead, following);
    }
    return following;
  }

  #aloneOf(node: RegexNode): Language | null {
    switch (node.kind) {
      case "set":
        return this.#languages.letter(this.#alphabet.maskOf(node.set));
      case "sequence":
        return this.#sequenceAlone(node.items);
      case "choice": {
        const options = all(node.options.map((option) => this.#alone(option)));
        return options === null ? null : this.#languages.either(...options);
      }
      case "repeat": {
        const item = this.#alone(node.item);
        return item === null ? null : this.#languages.times(item, node.min, node.max);
      }
      default:
        return null;
    }
  }
}

function all(parts: readonly (Language | null)[]): readonly Language[] | null {
  const found = parts.filter((part) => part !== null);
  return found.length === parts.length ? found : null;
}
