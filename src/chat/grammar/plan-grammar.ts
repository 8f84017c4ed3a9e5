import { invalidRequest, LmError } from "../../lib/errors.ts";
import type { GrammarAttach, GrammarSpec } from "../../protocol/commands.ts";
import { isCallable } from "../callable-tools.ts";
import type { AnswerFormat, Tool, ToolChoice } from "../conversation.ts";
import type { ToolFormat } from "../formats/format.ts";
import { answerInFrame, reasoningLead, type ReasoningState } from "./answer-frame.ts";
import { choice, GrammarBuilder, sequence } from "./gbnf.ts";
import { findGrammarProblem } from "./grammar-check.ts";
import { RecentResults } from "./recent-results.ts";
import { schemaGrammar } from "./schema-grammar.ts";
import { SchemaRules, type UnsupportedKeyword } from "./schema-rules.ts";
import { invalidSchema, SchemaDocument } from "./schema-source.ts";
import type { NamedTool } from "./tool-arguments.ts";
import { toolGrammar, type ToolGrammar } from "./tool-grammar.ts";
import { wholeSection } from "./tool-section.ts";
import { validateGbnf } from "./validate-gbnf.ts";
import { RequestBudgets } from "./work-budget.ts";

export interface GrammarRequest {
  format: ToolFormat;
  tools: readonly Tool[];
  choice: ToolChoice;
  /** Several calls in one answer. */
  parallel: boolean;
  answerFormat: AnswerFormat;
  /** null = the model does not reason. */
  reasoning: ReasoningState | null;
}

/** A keyword of a schema that the grammar does not enforce. */
export interface GrammarWarning extends UnsupportedKeyword {
  /** Path of the schema in the request, for example `format` or `tools[2].parameters`. */
  param: string;
}

export interface GrammarPlan {
  /** null = the model writes freely. */
  grammar: GrammarSpec | null;
  warnings: readonly GrammarWarning[];
  /** Some length of a text is kept only nearly. */
  isNear: boolean;
}

/** Tools together may need more than one schema may. */
const MAX_TOOL_GRAMMAR_BYTES = 1024 * 1024;

/**
 * The grammar of an answer and when it begins to constrain.
 * @throws LmError invalid_request: `invalid_json_schema` for a schema that cannot be used, or that
 *   is `strict` and holds a keyword no grammar enforces; `invalid_grammar` for a client's GBNF.
 */
export function planGrammar(request: GrammarRequest): GrammarPlan {
  const { format, ...rest } = request;
  return PLANS.get(JSON.stringify([format.name, rest]), () => makePlan(request));
}

const PLANS = new RecentResults<GrammarPlan>(16);

/**
 * The grammar of a text that continues a raw prompt, from its first token on.
 * @throws LmError as `planGrammar`.
 */
export function planFormat(format: AnswerFormat): GrammarPlan {
  return FORMAT_PLANS.get(JSON.stringify(format), () => {
    if (format.kind === "text") return FREE;
    if (format.kind === "grammar") return planOwnGrammar(format.gbnf, null);
    const builder = newBuilder("format", new RequestBudgets());
    const { value, warnings } = answerValue(builder, format);
    const gbnf = checked(builder, value);
    return planOf(builder, { gbnf, attach: { kind: "start" } }, warnings);
  });
}

const FORMAT_PLANS = new RecentResults<GrammarPlan>(16);

/** A request, and what its schemas may cost. */
interface CountedRequest extends GrammarRequest {
  budgets: RequestBudgets;
}

function makePlan(asked: GrammarRequest): GrammarPlan {
  const request: CountedRequest = { ...asked, budgets: new RequestBudgets() };
  const { answerFormat, reasoning } = request;
  const tools = callableTools(request);
  if (answerFormat.kind === "grammar") {
    return planOwnGrammar(answerFormat.gbnf, reasoning);
  }
  if (tools.length === 0)
    return answerFormat.kind === "text" ? FREE : planAnswer(request, answerFormat);
  if (request.choice.kind === "auto") {
    return answerFormat.kind === "text"
      ? planAuto(request, tools)
      : planEither(request, tools, answerFormat);
  }
  return planCalls(request, tools);
}

const FREE: GrammarPlan = { grammar: null, warnings: [], isNear: false };

function planOf(
  { isNear }: GrammarBuilder,
  grammar: GrammarSpec,
  warnings: readonly GrammarWarning[],
): GrammarPlan {
  return { grammar, warnings, isNear };
}

function planOwnGrammar(gbnf: string, reasoning: ReasoningState | null): GrammarPlan {
  validateGbnf(gbnf, "format");
  return { ...FREE, grammar: { gbnf, attach: attachOf(reasoning) } };
}

/** Where a grammar of the whole answer begins: behind reasoning that the prompt has opened. */
function attachOf(reasoning: ReasoningState | null): GrammarAttach {
  return reasoning?.state === "open" ? { kind: "after", end: reasoning.end } : { kind: "start" };
}

/** The tools that may be called, with the request field of each schema. */
function callableTools({ tools, choice: toolChoice }: GrammarRequest): NamedTool[] {
  const named = tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
  return named.filter(({ tool }) => isCallable(tool.name, toolChoice));
}

function newBuilder(param: string, budgets: RequestBudgets): GrammarBuilder {
  const tooLarge = (message: string) => invalidSchema(param, "", message);
  return new GrammarBuilder(tooLarge, MAX_TOOL_GRAMMAR_BYTES, budgets);
}

/** The answer is JSON. */
function planAnswer(request: CountedRequest, format: AnswerFormat & { kind: "json" }): GrammarPlan {
  const builder = newBuilder("format", request.budgets);
  const { expression, warnings } = answerRule(builder, request, format);
  return planOf(builder, spec(request, builder, expression), warnings);
}

/** Calls only, as many as the choice wants. */
function planCalls(request: CountedRequest, tools: readonly NamedTool[]): GrammarPlan {
  const parallel = request.parallel && request.choice.kind !== "named";
  const { builder, section, warnings } = callRules(request, tools, parallel);
  const expression = wholeSection(section.starts);
  return planOf(builder, spec(request, builder, expression), warnings);
}

/** Calls or the JSON answer. */
function planEither(
  request: CountedRequest,
  tools: readonly NamedTool[],
  format: AnswerFormat & { kind: "json" },
): GrammarPlan {
  const { builder, section, warnings } = callRules(request, tools, request.parallel);
  const answer = answerRule(builder, request, format);
  const expression = choice([wholeSection(section.starts), answer.expression]);
  const all = [...warnings, ...answer.warnings];
  return planOf(builder, spec(request, builder, expression), all);
}

/** Free text, and calls from the first marker on. */
function planAuto(request: CountedRequest, tools: readonly NamedTool[]): GrammarPlan {
  const { builder, section, warnings } = callRules(request, tools, request.parallel);
  const markers = autoMarkers(request.format, section, tools);
  if (markers.length === 0) return { ...FREE, warnings };
  const gbnf = checked(builder, wholeSection(section.starts));
  const { reasoning } = request;
  const tags =
    reasoning === null || reasoning.state === "closed" || request.format.opensInReasoning
      ? null
      : { open: reasoning.state === "open", start: reasoning.start, end: reasoning.end };
  const attach: GrammarAttach = { kind: "marker", markers, reasoning: tags };
  return planOf(builder, { gbnf, attach }, warnings);
}

/** Texts at which free text turns into a call. */
function autoMarkers(
  format: ToolFormat,
  section: ToolGrammar,
  tools: readonly NamedTool[],
): string[] {
  const openers = section.starts.map(({ opener }) => opener).filter((opener) => opener !== "");
  switch (format.kind) {
    case "bareJson": {
      // Any JSON may begin an answer; only the name of a tool makes it a call.
      const names = tools.map(({ tool }) => JSON.stringify(tool.name));
      const key = JSON.stringify(format.nameKey);
      const starts = ["{", '{"type": "function", ', '{"type":"function",'];
      const members = names.flatMap((name) => [`${key}: ${name}`, `${key}:${name}`]);
      return [...openers, ...starts.flatMap((start) => members.map((member) => start + member))];
    }
    case "recipients":
      return tools.map(({ tool }) => `${tool.name}\n`);
    default:
      return openers;
  }
}

interface CallRules {
  builder: GrammarBuilder;
  section: ToolGrammar;
  warnings: readonly GrammarWarning[];
}

/**
 * The rules of the calls. When the model may also do without a call, a schema that cannot be used
 * leaves its tool's arguments unconstrained instead of refusing the request, unless it is strict.
 */
function callRules(
  request: CountedRequest,
  tools: readonly NamedTool[],
  parallel: boolean,
): CallRules {
  try {
    return strictCallRules(request, tools, parallel);
  } catch (error) {
    if (!(error instanceof LmError) || request.choice.kind !== "auto") throw error;
    const usable = tools.map((named) => withUsableSchema(request, named));
    const rules = strictCallRules(request, usable, parallel);
    const replaced = usable.filter((named, index) => named !== tools[index]);
    const warnings = replaced.map(({ param }) => ({ param, ...WHOLE_SCHEMA }));
    return { ...rules, warnings: [...warnings, ...rules.warnings] };
  }
}

/** As a keyword that is not enforced: the schema itself. */
const WHOLE_SCHEMA: UnsupportedKeyword = {
  keyword: "the schema",
  pointer: "/",
  isTold: false,
};

function strictCallRules(
  request: CountedRequest,
  tools: readonly NamedTool[],
  parallel: boolean,
): CallRules {
  const builder = newBuilder("tools", request.budgets);
  const section = toolGrammar(builder, request.format, tools, parallel);
  const warnings = section.unsupported.map(({ tool, keyword }) => {
    if (tool.tool.strict && !keyword.isTold) {
      throw unsupportedKeyword(tool.param, keyword, request.budgets);
    }
    return { ...keyword, param: tool.param };
  });
  return { builder, section, warnings };
}

/** The tool as it is, or without its schema when no grammar can be made of it. */
function withUsableSchema(request: CountedRequest, named: NamedTool): NamedTool {
  const { tool, param } = named;
  try {
    schemaGrammar(tool.parameters ?? {}, param, request.budgets);
    // A schema that is fine may still describe no object.
    strictCallRules(request, [named], false);
    return named;
  } catch (error) {
    if (!(error instanceof LmError) || tool.strict) throw error;
    return { param, tool: { ...tool, parameters: { type: "object", additionalProperties: true } } };
  }
}

function answerRule(
  builder: GrammarBuilder,
  request: GrammarRequest,
  format: AnswerFormat & { kind: "json" },
): { expression: string; warnings: readonly GrammarWarning[] } {
  const { value, warnings } = answerValue(builder, format);
  return { expression: answerInFrame(builder, request.format, value), warnings };
}

function answerValue(
  builder: GrammarBuilder,
  format: AnswerFormat & { kind: "json" },
): { value: string; warnings: readonly GrammarWarning[] } {
  const rules = new SchemaRules(builder, new SchemaDocument(format.schema, "format"));
  const value = rules.root();
  const warnings = rules.unsupported().map((keyword) => {
    if (format.strict && !keyword.isTold)
      throw unsupportedKeyword("format", keyword, builder.budgets);
    return { ...keyword, param: "format" };
  });
  return { value, warnings };
}

function unsupportedKeyword(
  param: string,
  { pointer, keyword }: UnsupportedKeyword,
  { patterns }: RequestBudgets,
): LmError {
  // What a pattern lacks by itself, or what the others left of the work for all of them.
  const isSpent = keyword === "pattern" && patterns.left === 0;
  const reason = isSpent
    ? "is too large together with the other patterns for strict mode"
    : "is not supported in strict mode";
  return invalidRequest(
    param,
    "invalid_json_schema",
    `The schema cannot be enforced: ${keyword} at ${pointer} ${reason}; ` +
      "change it, or send strict: false.",
  );
}

/** A grammar that holds from the first token of the answer on, behind any reasoning. */
function spec(request: GrammarRequest, builder: GrammarBuilder, expression: string): GrammarSpec {
  const { reasoning, format } = request;
  const gbnf = checked(builder, sequence(reasoningLead(builder, format, reasoning), expression));
  return { gbnf, attach: attachOf(reasoning) };
}

function checked(builder: GrammarBuilder, root: string): string {
  const gbnf = builder.text(root);
  const problem = findGrammarProblem(gbnf, MAX_TOOL_GRAMMAR_BYTES);
  if (problem === null) return gbnf;
  throw invalidSchema("format", "", `cannot be used: its grammar ${problem.message}`);
}
