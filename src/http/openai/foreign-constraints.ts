type OwnField = "response_format" | "json_schema" | "grammar";

/** Fields by which vLLM and chats constrain an answer, and whether a schema or a grammar does the same here. */
const FOREIGN: Readonly<Record<string, readonly ("schema" | "grammar")[]>> = {
  structured_outputs: ["schema", "grammar"],
  guided_json: ["schema"],
  guided_choice: ["schema"],
  guided_regex: ["schema"],
  guided_grammar: ["grammar"],
  response_format: ["schema"],
};

/**
 * Unknown fields are passed over, but an answer without its constraint looks like one that keeps it.
 * @param schemaField The field of the route that takes a schema.
 * @returns A warning for each such field of the body, which names what is obeyed instead.
 */
export function foreignConstraints(
  body: Readonly<Record<string, unknown>>,
  schemaField: OwnField,
): string[] {
  return Object.entries(FOREIGN).flatMap(([field, kinds]) => {
    if (body[field] == null || field === schemaField || isText(body[field])) return [];
    const own = kinds.map((kind): OwnField => (kind === "schema" ? schemaField : kind));
    return [`${field}: it is not obeyed; use ${own.join(" or ")}`];
  });
}

/** The response format that asks for nothing. */
const isText = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "type" in value && value.type === "text";
