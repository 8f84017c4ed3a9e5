import type { LmError } from "../../lib/errors.ts";
import type { Tool } from "../conversation.ts";
import type { BareNames } from "./bare-names.ts";
import { literal, sequence, type GrammarBuilder } from "./gbnf.ts";
import { objectGrammar } from "./object-grammar.ts";
import type { Emitter } from "./schema-emit.ts";
import { SchemaRules, type UnsupportedKeyword } from "./schema-rules.ts";
import type { JsonType } from "./schema-shape.ts";
import { invalidSchema, isSchemaObject, SchemaDocument, type Located } from "./schema-source.ts";
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
  /** Something beside a value says whether it is a string. */
  typed: boolean;
}

const NO_ARGUMENTS = { type: "object", properties: {}, additionalProperties: false };
/** Keywords that give an object members, or refuse them. */
const SHAPING = [
  "properties",
  "required",
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
const IS_OBJECT: Located = { schema: { type: "object" }, pointer: "" };
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
    // What one notation cannot hold, another may hold in part only.
    const ordered = [
      ...found.filter(({ isTold }) => isTold),
      ...found.filter(({ isTold }) => !isTold),
    ];
    return [...new Map(ordered.map((keyword) => [keyword.pointer, keyword])).values()];
  }

  /** One JSON object. */
  json(): string {
    return this.#object(this.#json);
  }

  /** One object in another notation. */
  object(style: ValueStyle): string {
    return this.#object(this.#rules(style));
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
      // Free text reads as whatever it looks like, unless its type is stated.
      const free = !styles.typed && all.every(({ schema }) => schema === true || isEmpty(schema));
      const other = free ? null : texts.visit([...all, IS_NO_STRING], hint);
      const rules =
        other === null ? texts : this.#rules(styles.mixed(texts.types(all)), this.#json);
      const text = rules.visit([...all, IS_STRING], hint);
      return text === null && other === null ? null : write({ text, other });
    });
  }

  #object(rules: SchemaRules): string {
    const { root } = this.#document;
    if (isSchemaObject(root.schema) && root.schema["type"] === "object") return rules.root();
    const object = rules.visit([root, IS_OBJECT], "arguments");
    if (object === null) throw this.#noObject();
    return object;
  }

  #noObject(): LmError {
    return invalidSchema(this.#param, "", "describes no object");
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
      tell: (located) => this.#json.tell(located),
      target: (located) => this.#json.target(located),
    };
    const options = this.#json
      .shapes()
      .filter((shape) => shape.types.has("object"))
      .map((shape) => objectGrammar(emitter, shape.object, "arguments", shape.pointer))
      .filter((rule) => rule !== null);
    if (options.length === 0) throw this.#noObject();
    return this.#builder.add("arguments", options.join(" | "));
  }
}

/** What stands around the names of members that have no braces around all of them. */
export interface MemberNotation {
  names: BareNames;
  /** How a declared name is written. */
  spell: (name: string) => string;
  /** GBNF before each member; text between its name and its value. */
  before: string;
  after: string;
  comma: string;
}

/** The notation of members that stand side by side without braces. */
export function bareMembers(notation: MemberNotation): ValueStyle {
  const { names, spell, before, after, comma } = notation;
  return {
    ...JSON_STYLE,
    id: "bare",
    names,
    object: { open: "", close: "" },
    anyObject: () => null,
    comma: () => comma,
    member: (_, name, value) => sequence(before, literal(spell(name) + after), value),
    extra: (builder, declared, value) =>
      sequence(before, names.other(builder, declared, literal(after)), value),
    keyed: (_, key, value) => sequence(before, key, literal(after), value),
  };
}

/** A tool's parameters as a schema of an object; without any, the object is empty. */
function argumentsSchema({ parameters }: Tool): unknown {
  if (parameters === null) return NO_ARGUMENTS;
  const opens = (parameters["additionalProperties"] ?? null) !== null;
  const shaped = opens || SHAPING.some((keyword) => !isEmpty(parameters[keyword]));
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
