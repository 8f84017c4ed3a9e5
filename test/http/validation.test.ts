import { describe, expect, test } from "bun:test";
import { ChatCompletionRequest } from "../../src/http/openai/chat-completions.schema.ts";
import { CompletionRequest } from "../../src/http/openai/completions.schema.ts";
import { EmbeddingRequest } from "../../src/http/openai/embeddings.schema.ts";
import { appWith, chatBody, errorOf, HOST } from "./fakes.ts";

interface Field {
  type?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  anyOf?: readonly Field[];
  enum?: readonly unknown[];
  const?: unknown;
}

const routes = [
  { path: "/v1/chat/completions", schema: ChatCompletionRequest, base: chatBody },
  { path: "/v1/completions", schema: CompletionRequest, base: { prompt: "x" } },
  { path: "/v1/embeddings", schema: EmbeddingRequest, base: { input: "x" } },
];

const fieldsOf = (schema: unknown): [string, Field][] =>
  Object.entries((schema as { properties: Record<string, Field> }).properties);

/** Forms of a field besides null. */
const formsOf = (field: Field): readonly Field[] =>
  (field.anyOf ?? [field])
    .filter((form) => form.type !== "null")
    .flatMap((form) => form.anyOf ?? form);

const numeric = routes.flatMap(({ path, schema, base }) =>
  fieldsOf(schema).flatMap(([name, field]) => {
    const [form] = formsOf(field);
    const isNumber = form?.type === "integer" || form?.type === "number";
    return isNumber && formsOf(field).length === 1 ? [{ path, base, name, form }] : [];
  }),
);

/** Sends the number as text, so that no value is changed on the way. */
async function answerTo(path: string, base: object, name: string, literal: string) {
  const rest = JSON.stringify(base).slice(0, -1);
  const text = `${rest},${JSON.stringify(name)}:${literal}}`;
  const response = await appWith().handle(
    new Request(`http://localhost:1234${path}`, {
      method: "POST",
      headers: { ...HOST, "content-type": "application/json" },
      body: text,
    }),
  );
  if (response.status === 200) return { status: 200, code: null, param: null };
  const { code, param } = await errorOf(response);
  return { status: response.status, code, param };
}

describe("T-B11: numbers in every numeric field", () => {
  expect(numeric.length).toBeGreaterThan(60);

  test.each(numeric)("$path $name", async ({ path, base, name, form }) => {
    const isInteger = form.type === "integer";
    const kind = isInteger ? "integer" : "decimal";
    const ask = (literal: string) => answerTo(path, base, name, literal);
    const refuses = async (literal: string, code: string): Promise<void> => {
      expect({ literal, ...(await ask(literal)) }).toEqual({
        literal,
        status: 400,
        code,
        param: name,
      });
    };
    for (const literal of ['"5"', "true", "[]", "{}"]) await refuses(literal, "invalid_type");
    expect(await ask("NaN")).toMatchObject({ status: 400, code: "invalid_json" });
    expect((await ask("null")).status).toBe(200);
    if (isInteger) await refuses("0.5", "invalid_type");
    if (form.maximum !== undefined) await refuses("1e400", `${kind}_above_max_value`);
    await refuses("-1e400", `${kind}_below_min_value`);
    if (isInteger && name !== "seed" && form.maximum !== undefined) {
      await refuses("9007199254740993", "integer_above_max_value");
    }
    const { minimum, maximum, exclusiveMinimum } = form;
    if (minimum !== undefined) {
      await refuses(String(name === "seed" ? minimum * 2 : minimum - 1), `${kind}_below_min_value`);
    }
    if (exclusiveMinimum !== undefined) {
      await refuses(String(exclusiveMinimum), `${kind}_below_min_value`);
    }
    if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) {
      await refuses(String(maximum + 1), `${kind}_above_max_value`);
    }
    // Zero fraction and minus zero are ordinary numbers, in range or out of it.
    for (const literal of ["5.0", "-0"]) {
      const { code } = await ask(literal);
      expect(code).not.toBe("invalid_type");
    }
  });
});

describe("null and wrong types in every optional field", () => {
  const rows = routes.flatMap(({ path, schema, base }) => {
    const required = (schema as { required?: readonly string[] }).required ?? [];
    return fieldsOf(schema)
      .filter(([name]) => !required.includes(name))
      .map(([name, field]) => ({ path, base, name, field }));
  });

  test.each(rows)("$path $name", async ({ path, base, name, field }) => {
    expect((await answerTo(path, base, name, "null")).status).toBe(200);
    const types = new Set(
      formsOf(field).map((form) => form.type ?? typeof (form.enum?.[0] ?? form.const)),
    );
    const wrong = ["string", "boolean", "object", "array"].find((type) => !types.has(type));
    const literal = { string: '"x"', boolean: "true", object: "{}", array: "[]" }[
      wrong ?? "string"
    ];
    const answer = await answerTo(path, base, name, literal ?? "");
    expect(answer).toEqual({ status: 400, code: "invalid_type", param: name });
  });
});

test("unknown fields are ignored on every route, whatever they hold", async () => {
  for (const { path, base } of routes) {
    for (const literal of ["1", '"x"', "[[]]", '{"a":{"b":null}}']) {
      expect((await answerTo(path, base, "no_such_field", literal)).status).toBe(200);
    }
  }
});
