import type { ToolFormat } from "../formats/format.ts";
import type { GrammarBuilder } from "./gbnf.ts";
import {
  bareJsonSections,
  channelSections,
  jsonSections,
  namedJsonSections,
  recipientSections,
} from "./json-calls.ts";
import { dictSections, elementSections, pythonSections, taggedSections } from "./literal-calls.ts";
import type { UnsupportedKeyword } from "./schema-rules.ts";
import { ToolArguments, type NamedTool } from "./tool-arguments.ts";
import type { CallContext, SectionStart } from "./tool-section.ts";

export interface ToolGrammar {
  starts: readonly SectionStart[];
  /** Keywords of each tool's schema that the grammar does not hold to. */
  unsupported: readonly { tool: NamedTool; keyword: UnsupportedKeyword }[];
}

/**
 * The calls of `tools` as this family writes them. Names are exact, and the arguments of each call
 * keep the schema of its tool.
 *
 * @param parallel several calls in one answer, where the family writes them.
 * @throws LmError invalid_request (invalid_json_schema) for a schema that cannot be used.
 */
export function toolGrammar(
  builder: GrammarBuilder,
  format: ToolFormat,
  tools: readonly NamedTool[],
  parallel: boolean,
): ToolGrammar {
  const callable = tools.map((tool) => ({ ...tool, arguments: new ToolArguments(builder, tool) }));
  const context = { builder, tools: callable, parallel: parallel && format.parallel };
  const starts = sections(context, format);
  const unsupported = callable.flatMap((tool) =>
    tool.arguments.unsupported().map((keyword) => ({ tool, keyword })),
  );
  return { starts, unsupported };
}

function sections(context: CallContext, format: ToolFormat): SectionStart[] {
  switch (format.kind) {
    case "json":
      return jsonSections(context, format);
    case "bareJson":
      return bareJsonSections(context, format);
    case "namedJson":
      return namedJsonSections(context, format);
    case "tagged":
      return taggedSections(context, format);
    case "elements":
      return elementSections(context, format);
    case "python":
      return pythonSections(context, format);
    case "dict":
      return dictSections(context, format);
    case "channels":
      return channelSections(context, format);
    default:
      return recipientSections(context, format);
  }
}
