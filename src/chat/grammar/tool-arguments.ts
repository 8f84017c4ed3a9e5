import type { Tool } from "../conversation.ts";
import type { GrammarBuilder } from "./gbnf.ts";
import { objectGrammar } from "./object-grammar.ts";
import type { Emitter } from "./schema-emit.ts";
import { SchemaRules, type UnsupportedKeyword } from "./schema-rules.ts";
import type { JsonType } from "./schema-shape.ts";
import { invalidSchema, SchemaDocument, type Located } from "./schema-source.ts";
import { JSON_STYLE, type ValueStyle } from "./value-style.ts";

/** A tool whose arguments are to be written, and the request field its schema came from. */
export interface NamedTool {
  tool: Tool;
  param: string;
}

/** How a string is written that can be nothing else, and one that could be of `types` as well. */
export interface TaggedStyles {
  text: ValueStyle;
  mixed: (types: ReadonlySet<JsonType>) => ValueStyle;
}

const NO_ARGUMENTS = { type: "object", properties: {}, additionalProperties: false };
/** Keywords that give an object members, or refuse them. */
const SHAPING = [
  "properties",
  "required",
  "additionalProperties",
  "patternProperties",
  "propertyNames",
  "minProperties",
  "$ref",
  "anyOf",
  "oneOf",
  "allOf",
  "enum",
  "const",
];
const IS_STRING: Located = { schema: { type: "string" }, pointer: "" };
const IS_NO_STRING: Located = { schema: { not: { type: "string" } }, pointer: "" };

/** The arguments of one tool in the notations that model families use. */
export class ToolArguments {
  readonly #builder: GrammarBuilder;
  readonly #document: SchemaDocument;
  readonly #json: SchemaRules;
  readonly #all: SchemaRules[];
  readonly #param: string;

  /** @throws LmError invalid_request (invalid_json_schema) when the schema is too large. */
  constructor(builder: GrammarBuilder, { tool, param }: NamedTool) {
    this.#builder = builder;
    this.#param = param;
    this.#document = new SchemaDocument(argumentsSchema(tool), param);
    this.#json = new SchemaRules(builder, this.#document);
    this.#all = [this.#json];
  }

  unsupported(): readonly UnsupportedKeyword[] {
    const found = this.#all.flatMap((rules) => rules.unsupported());
    return [...new Map(found.map((keyword) => [keyword.pointer, keyword])).values()];
  }

  /** One JSON object. */
  json(): string {
    return this.#json.root();
  }

  /** One object in another notation. */
  object(style: ValueStyle): string {
    return this.#rules(style).root();
  }

  /** The members of the object, in `outer`'s notation, with values in `inner`'s; may be "". */
  members(outer: ValueStyle, inner: ValueStyle): string {
    const rules = this.#rules(inner);
    return this.#members(outer, (all, hint) => rules.visit(all, hint));
  }

  /**
   * Members whose values are text where they are strings and JSON otherwise. `write` puts one
   * value between its tags; it gets an expression for each kind that the schema allows.
   */
  tagged(
    styles: TaggedStyles,
    outer: ValueStyle,
    write: (value: { text: string | null; other: string | null }) => string,
  ): string {
    const texts = this.#rules(styles.text, this.#json);
    return this.#members(outer, (all, hint) => {
      const free = all.every(({ schema }) => schema === true || isEmpty(schema));
      const other = free ? null : texts.visit([...all, IS_NO_STRING], hint);
      const rules =
        other === null ? texts : this.#rules(styles.mixed(texts.types(all)), this.#json);
      const text = rules.visit([...all, IS_STRING], hint);
      return text === null && other === null ? null : write({ text, other });
    });
  }

  #rules(style: ValueStyle, nested: SchemaRules | null = null): SchemaRules {
    const rules = new SchemaRules(this.#builder, this.#document, style, nested);
    this.#all.push(rules);
    return rules;
  }

  #members(outer: ValueStyle, visit: Emitter["visit"]): string {
    const emitter: Emitter = {
      builder: this.#builder,
      style: outer,
      visit,
      report: (located) => this.#json.report(located),
    };
    const options = this.#json
      .shapes()
      .filter((shape) => shape.types.has("object"))
      .map((shape) => objectGrammar(emitter, shape.object, "arguments", shape.pointer))
      .filter((rule) => rule !== null);
    if (options.length === 0) throw invalidSchema(this.#param, "", "describes no object");
    return this.#builder.add("arguments", options.join(" | "));
  }
}

/** The notation of members that stand side by side without braces. */
export function bareMembers(
  member: ValueStyle["member"],
  comma: (builder: GrammarBuilder) => string,
): ValueStyle {
  return {
    ...JSON_STYLE,
    id: "bare",
    object: { open: "", close: "" },
    anyObject: () => '""',
    comma,
    member,
    extra: () => null,
    keyed: () => null,
  };
}

/** A tool's parameters as a schema of an object; without any, the object is empty. */
function argumentsSchema({ parameters }: Tool): unknown {
  if (parameters === null) return NO_ARGUMENTS;
  const shaped = SHAPING.some((keyword) => !isEmpty(parameters[keyword]));
  if (!shaped && (parameters["type"] === undefined || parameters["type"] === "object")) {
    return { ...parameters, ...NO_ARGUMENTS };
  }
  return parameters["type"] === undefined ? { ...parameters, type: "object" } : parameters;
}

/** Absent, or a list or object without anything in it. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
