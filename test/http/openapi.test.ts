import { expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020";
import { LogFeed } from "../../src/http/log-feed.ts";
import { appWith, get, post } from "./fakes.ts";

type Json = Record<string, unknown>;
interface Media {
  schema: Json;
  example: unknown;
}
interface Operation {
  operationId: string;
  security: Json[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content: Record<string, Media> }>;
}

const document = appWith().openapi() as {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

test("the document is valid OpenAPI 3.1", async () => {
  const result = await new Validator().validate(structuredClone(document));
  expect(result.errors).toBeUndefined();
  expect(result.valid).toBe(true);
  expect(document.openapi).toBe("3.1.0");
});

test("the route serves the same document", async () => {
  const response = await appWith().handle(get("/swagger/json"));
  expect(await response.json()).toEqual(document);
});

test("every route has its own id, an example, and says what errors look like", () => {
  expect(operations.map(({ path }) => path)).toEqual([
    "/v1/models",
    "/v1/models/{id}",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/chat/completions/input_tokens",
    "/v1/chat/completions/render",
    "/api/v1/chat",
    "/api/v1/models",
    "/api/v1/models/load",
    "/api/v1/models/unload",
    "/api/v1/models/download",
    "/api/v1/models/download/status/{id}",
    "/api/lmserver/downloads",
    "/api/lmserver/downloads/control",
    "/api/v0/models",
    "/api/v0/models/{id}",
    "/api/v0/chat/completions",
    "/api/v0/completions",
    "/api/v0/embeddings",
    "/health",
    "/v1/health",
    "/readyz",
    "/livez",
    "/api/lmserver/instances",
    "/api/lmserver/adapters",
    "/api/lmserver/models",
    "/api/lmserver/slots",
    "/",
    "/lmstudio-greeting",
    "/version",
    "/api/lmserver/logs",
    "/metrics",
  ]);
  expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(
    operations.length,
  );
  for (const { operation } of operations) {
    for (const { content } of Object.values(operation.responses)) {
      for (const media of Object.values(content)) expect(media.example).toBeDefined();
    }
    expect(operation.responses["default"]).toBeDefined();
  }
});

test("every example fits its schema", () => {
  const ajv = new Ajv2020({ strict: false });
  const base = { $id: "doc", components: document.components };
  ajv.addSchema(base);
  const fits = ({ schema, example }: Media): string => {
    const local = JSON.parse(
      JSON.stringify(schema).replaceAll('"#/components/', '"doc#/components/'),
    ) as Json;
    ajv.validate(local, example);
    return ajv.errorsText();
  };
  let count = 0;
  for (const { operation } of operations) {
    const contents = [
      operation.requestBody?.content ?? {},
      ...Object.values(operation.responses).map(({ content }) => content),
    ];
    for (const media of contents.flatMap((content) => Object.values(content))) {
      expect(fits(media)).toBe("No errors");
      count++;
    }
  }
  expect(count).toBeGreaterThan(30);
});

test("the answer to whoever sends no key is as the document says", async () => {
  const app = appWith({ settings: { apiKeys: ["secret"] } });
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema({ $id: "doc", components: document.components });
  for (const { path, method, operation } of operations.filter(
    (each) => each.operation.security.length > 0,
  )) {
    const response = await app.handle(method === "post" ? post(path, {}) : get(path));
    const told = operation.responses["401"] ?? operation.responses["default"];
    const schema = JSON.stringify(told?.content["application/json"]?.schema);
    ajv.validate(JSON.parse(schema.replaceAll('"#/', '"doc#/')) as Json, await response.json());
    expect([path, response.status, ajv.errorsText()]).toEqual([path, 401, "No errors"]);
  }
});

/** The example as it is, but for a model that is installed here. */
function withInstalledModel(path: string, example: Json): Json {
  if (!("model" in example)) return example;
  const model = path.endsWith("/embeddings") ? "acme/embed" : "acme/tiny";
  return { ...example, model };
}

test("the example requests are accepted as they are", async () => {
  const app = appWith({ settings: { modelFallback: true } });
  for (const { path, method, operation } of operations) {
    const example = operation.requestBody?.content["application/json"]?.example as Json | undefined;
    if (method !== "post" || !example) continue;
    const response = await app.handle(
      new Request(`http://localhost${path}`, {
        method: "POST",
        headers: { host: "localhost", "content-type": "application/json" },
        body: JSON.stringify(withInstalledModel(path, example)),
      }),
    );
    // No job of the example's id is known.
    expect([path, response.status]).toEqual([path, path.endsWith("/control") ? 404 : 200]);
  }
});

test("a request's schema says whether unknown keys are refused", async () => {
  const app = appWith({ settings: { modelFallback: true } });
  const strict: string[] = [];
  for (const { path, operation } of operations) {
    const media = operation.requestBody?.content["application/json"];
    if (!media) continue;
    const body = withInstalledModel(path, media.example as Json);
    const refused = await app.handle(post(path, { ...body, nobody_knows_this: 1 }));
    const resolved =
      document.components.schemas[String(media.schema["$ref"]).split("/").pop() ?? ""];
    const { additionalProperties } = resolved ?? media.schema;
    expect([path, refused.status === 400]).toEqual([path, additionalProperties === false]);
    if (additionalProperties === false) strict.push(path);
  }
  expect(strict).toEqual([
    "/api/v1/chat",
    "/api/v1/models/load",
    "/api/v1/models/unload",
    "/api/v1/models/download",
    "/api/lmserver/downloads/control",
  ]);
});

test("with extensions the document shows their fields, and only then", () => {
  const fieldsOf = (restExtensions: boolean, path: string): string[] => {
    const { paths } = appWith({ settings: { restExtensions } }).openapi() as typeof document;
    const media = paths[path]?.["post"]?.requestBody?.content["application/json"];
    return Object.keys(media?.schema["properties"] ?? {});
  };
  for (const [path, field] of [
    ["/api/v1/chat", "seed"],
    ["/api/v1/models/load", "identifier"],
  ] as const) {
    expect(fieldsOf(true, path)).toContain(field);
    expect(fieldsOf(false, path)).not.toContain(field);
  }
});

test("the parameter of the log is shown, and works as it is shown", async () => {
  const app = appWith({ deps: { logFeed: new LogFeed(() => 0) } });
  const { paths } = app.openapi() as { paths: Record<string, { get: { parameters: Json[] } }> };
  const [source, ...others] = paths["/api/lmserver/logs"]?.get.parameters ?? [];
  expect(source).toMatchObject({ name: "source", in: "query", style: "form", explode: false });
  expect(others).toEqual([]);
  const response = await app.handle(get("/api/lmserver/logs?source=server,model"));
  expect(response.status).toBe(200);
  await response.body?.cancel();
  const valid = await new Validator().validate(structuredClone(app.openapi()));
  expect(valid.errors).toBeUndefined();
});

test("Swagger UI loads everything from this server", async () => {
  const app = appWith();
  const page = await app.handle(get("/swagger/"));
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(page.headers.get("x-frame-options")).toBe("DENY");
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
  expect(links.length).toBe(4);
  expect(links.every((link) => link.startsWith("/swagger/"))).toBe(true);
  const style = await app.handle(get("/swagger/swagger-ui.css"));
  expect(style.headers.get("content-type")).toBe("text/css");
  for (const name of ["nope.js", "..%2fpackage.json", "a/b"]) {
    expect((await app.handle(get(`/swagger/${name}`))).status).toBe(404);
  }
});
