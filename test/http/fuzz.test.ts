import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ChatCompletionRequest } from "../../src/http/openai/chat-completions.schema.ts";
import { CompletionRequest } from "../../src/http/openai/completions.schema.ts";
import { EmbeddingRequest } from "../../src/http/openai/embeddings.schema.ts";
import { appWith, HOST, type ErrorBody } from "./fakes.ts";

const RUNS = Number(process.env["LMSERVER_FUZZ_RUNS"] ?? 300);

interface Schema {
  type?: string;
  const?: unknown;
  enum?: readonly unknown[];
  anyOf?: readonly Schema[];
  properties?: Record<string, Schema>;
  required?: readonly string[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
}

const junk = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    -1,
    0,
    2 ** 31,
    2 ** 53 + 2,
    1e308,
    "",
    "\u0000",
    "\ud800",
    [],
    {},
    null,
  ),
);

/** Values of a schema, near it, and far from it. */
function arbitrary(schema: Schema): fc.Arbitrary<unknown> {
  return fc.oneof({ arbitrary: valid(schema), weight: 12 }, { arbitrary: junk, weight: 1 });
}

function valid(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(arbitrary));
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if ("const" in schema) return fc.constant(schema.const);
  switch (schema.type) {
    case "string":
      return fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: "binary", maxLength: 8 }));
    case "integer":
      return fc.integer({
        min: Math.max(schema.minimum ?? -9, -9) - 1,
        max: Math.min(schema.maximum ?? 9, 9) + 1,
      });
    case "number":
      return fc.double({
        min: (schema.minimum ?? -2) - 1,
        max: (schema.maximum ?? 2) + 1,
        noNaN: true,
      });
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(schema.items ? arbitrary(schema.items) : junk, { maxLength: 4 });
    case "object":
      return object(schema);
    default:
      return junk;
  }
}

function object(schema: Schema): fc.Arbitrary<unknown> {
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length === 0) return fc.dictionary(fc.string({ maxLength: 8 }), junk, { maxKeys: 3 });
  const required = new Set(schema.required ?? []);
  // A few optional fields at a time: with all of them no body would ever be valid.
  return fc
    .tuple(fc.subarray(fields, { maxLength: Math.min(6, fields.length) }), fc.nat(40))
    .chain(([some, dice]) => {
      const kept = new Map([...fields.filter(([name]) => required.has(name) && dice > 0), ...some]);
      return fc.record(
        Object.fromEntries([...kept].map(([name, field]) => [name, arbitrary(field)])),
      );
    });
}

const routes = [
  { path: "/v1/chat/completions", schema: ChatCompletionRequest },
  { path: "/v1/completions", schema: CompletionRequest },
  { path: "/v1/embeddings", schema: EmbeddingRequest },
];

test.each(routes)(
  "$path answers 200 or names what is wrong, whatever it is sent",
  async (route) => {
    const app = appWith();
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(arbitrary(route.schema as Schema), async (body) => {
        const response = await app.handle(
          new Request(`http://localhost${route.path}`, {
            method: "POST",
            headers: { ...HOST, "content-type": "application/json" },
            body: JSON.stringify(body) ?? "",
          }),
        );
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
        const answer = await response.text();
        if (response.status === 200) return;
        expect([400, 404]).toContain(response.status);
        const { error } = JSON.parse(answer) as ErrorBody;
        expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
        expect(error.message.length).toBeLessThan(600);
      }),
      { numRuns: RUNS },
    );
    expect(statuses.get(400)).toBeGreaterThan(0);
  },
);

test("broken bytes are refused, never a failure of ours", async () => {
  const app = appWith();
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 64 }),
      fc.nat(80),
      fc.nat(80),
      async (noise, at, cut) => {
        const good = new TextEncoder().encode(
          '{"model":"m","messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00"}],"n":1}',
        );
        const body = new Uint8Array([...good.slice(0, at), ...noise, ...good.slice(at + cut)]);
        const response = await app.handle(
          new Request("http://localhost/v1/chat/completions", {
            method: "POST",
            headers: HOST,
            body,
          }),
        );
        expect([200, 400, 404]).toContain(response.status);
      },
    ),
    { numRuns: RUNS },
  );
});

test("odd paths and headers are refused, never a failure of ours", async () => {
  const app = appWith({ settings: { cors: ["https://a.example"], apiKeys: ["k"] } });
  const piece = fc.constantFrom(
    "/",
    "//",
    "v1",
    "models",
    "%2f",
    "%",
    "%zz",
    "%00",
    "..",
    "?",
    "#",
    "é",
    "@q4",
    ":2",
    "\\",
  );
  const value = fc.string({
    unit: fc.constantFrom(...Array.from("abc:/.,;@[]*%= localhost127")),
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 8 }),
      fc.constantFrom("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH"),
      fc.record({ origin: value, authorization: value, host: value }, { requiredKeys: [] }),
      async (pieces, method, headers) => {
        const request = new Request(`http://localhost/${pieces.join("")}`, {
          method,
          headers: { ...HOST, ...headers },
        });
        const response = await app.handle(request);
        expect(response.status).toBeLessThan(500);
        expect(response.headers.get("x-request-id")).toMatch(/^req_/);
      },
    ),
    { numRuns: RUNS },
  );
});
