/** Fields by which vLLM and others constrain an answer, and the kind of our own that does the same. */
const FOREIGN = {
  structured_outputs: "schema or grammar",
  guided_json: "schema",
  guided_choice: "schema",
  guided_regex: "schema",
  guided_grammar: "grammar",
} as const;

/** What of the route's own fields takes its place. */
export interface OwnConstraints {
  /** The field that takes a JSON schema. */
  schema: "response_format" | "json_schema";
}

/**
 * Unknown fields are passed over, but an answer without its constraint looks like one with it.
 * @returns A warning for each that the body holds, with the fields that are obeyed instead.
 */
export function foreignConstraints(
  body: Readonly<Record<string, unknown>>,
  { schema }: OwnConstraints,
): string[] {
  return Object.entries(FOREIGN).flatMap(([field, kind]) => {
    if (body[field] == null) return [];
    const instead = kind.replace("schema", `'${schema}'`).replace("grammar", "'grammar' (GBNF)");
    return [`${field}: this field is not obeyed; use ${instead}`];
  });
}
