import { parse } from "@huggingface/jinja";
import { MAX_TEMPLATE_LENGTH } from "../../lib/limits.ts";
import { tokensOf } from "./tokens.ts";

/** The parsed template, as the classes of `@huggingface/jinja` shape it; see its `ast.d.ts`. */
export type Expression =
  | { type: "IntegerLiteral" | "FloatLiteral"; value: number }
  | { type: "StringLiteral" | "Identifier"; value: string }
  | { type: "ArrayLiteral" | "TupleLiteral"; value: readonly Expression[] }
  | { type: "ObjectLiteral"; value: ReadonlyMap<Expression, Expression> }
  | BinaryExpression
  | { type: "UnaryExpression"; operator: { value: string }; argument: Expression }
  | FilterExpression
  | { type: "TestExpression"; operand: Expression; negate: boolean; test: Identifier }
  | SelectExpression
  | { type: "Ternary"; condition: Expression; trueExpr: Expression; falseExpr: Expression }
  | MemberExpression
  | SliceExpression
  | CallExpression
  | KeywordArgument
  | { type: "SpreadExpression" | "KeywordSpreadExpression"; argument: Expression };

export type Identifier = { type: "Identifier"; value: string };
export type BinaryExpression = {
  type: "BinaryExpression";
  operator: { value: string };
  left: Expression;
  right: Expression;
};
export type FilterExpression = {
  type: "FilterExpression";
  operand: Expression;
  filter: Identifier | CallExpression;
};
/** `lhs if test` without an else: a filter of the iterable in a loop, elsewhere a short ternary. */
export type SelectExpression = { type: "SelectExpression"; lhs: Expression; test: Expression };
export type MemberExpression = {
  type: "MemberExpression";
  object: Expression;
  property: Expression;
  /** `object[property]` rather than `object.property`. */
  computed: boolean;
};
export type SliceExpression = {
  type: "SliceExpression";
  start: Expression | undefined;
  stop: Expression | undefined;
  step: Expression | undefined;
};
export type CallExpression = {
  type: "CallExpression";
  callee: Expression;
  args: readonly Expression[];
};
export type KeywordArgument = {
  type: "KeywordArgumentExpression";
  key: Identifier;
  value: Expression;
};
export type Parameter = Identifier | KeywordArgument;

export type Statement =
  | Expression
  | { type: "Comment"; value: string }
  | { type: "Break" | "Continue" }
  | {
      type: "If";
      test: Expression;
      body: readonly Statement[];
      alternate: readonly Statement[];
    }
  | ForStatement
  | SetStatement
  | MacroStatement
  | {
      type: "CallStatement";
      call: CallExpression;
      callerArgs: readonly Parameter[] | null;
      body: readonly Statement[];
    }
  | {
      type: "FilterStatement";
      filter: Identifier | CallExpression;
      body: readonly Statement[];
    };

export type ForStatement = {
  type: "For";
  loopvar: Expression;
  iterable: Expression;
  body: readonly Statement[];
  defaultBlock: readonly Statement[];
};
export type SetStatement = {
  type: "Set";
  assignee: Expression;
  value: Expression | null;
  body: readonly Statement[];
};
export type MacroStatement = {
  type: "Macro";
  name: Identifier;
  args: readonly Parameter[];
  body: readonly Statement[];
};

/** The tokenizer's pattern for `{% generation %}` is quadratic in the length of a run of blanks. */
const LONG_BLANKS = /\s{1000}/;

/** @throws Error when the source is no template, or too large to be one. */
export function parseTemplate(source: string): readonly Statement[] {
  if (source.length > MAX_TEMPLATE_LENGTH) throw new Error("the template is larger than 1 MiB");
  if (LONG_BLANKS.test(source)) throw new Error("the template has 1000 blanks in a row");
  // The package declares its nodes as open classes; these are the same objects, as a closed union.
  return parse(tokensOf(source)).body as unknown as readonly Statement[];
}
