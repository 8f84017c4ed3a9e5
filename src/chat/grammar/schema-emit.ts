import type { GrammarBuilder } from "./gbnf.ts";
import type { Located } from "./schema-source.ts";
import type { ValueStyle } from "./value-style.ts";

/** What the rules of one type need to know of the whole conversion. */
export interface Emitter {
  readonly builder: GrammarBuilder;
  readonly style: ValueStyle;
  /** The rule for a value that satisfies all of these; null when none can. */
  visit(all: readonly Located[], hint: string): string | null;
  /** Notes a keyword the grammar does not hold to. */
  report(located: Located): void;
  /** As `report`, for a keyword beside others that are held: strict mode takes it, too. */
  tell(located: Located): void;
  /** What a schema stands for that is nothing but a `$ref`; any other is itself. */
  target(located: Located): Located;
}
