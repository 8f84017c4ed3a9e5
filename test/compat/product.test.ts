import { afterAll, beforeAll, expect, test } from "bun:test";
import { type TestServer, childrenOf, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Promises of the whole product that no room keeps alone. */

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ args: ["--allow-llm-embeddings"] });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  expect(childrenOf(server.pid)).toEqual([]);
});

const post = (path: string, body: unknown, signal?: AbortSignal): Promise<Response> =>
  fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
const hello = { model: "demo", messages: [{ role: "user", content: "Hello" }], temperature: 0 };
const story = {
  model: "demo",
  messages: [{ role: "user", content: "Tell me a story." }],
  ignore_eos: true,
};

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith(name) && /[ {]/.test(line[name.length]!));
  expect(lines.length).toBeGreaterThan(0);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

test("fifty first requests at once load the model once and are all answered", async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => post("/v1/chat/completions", hello)),
  );
  const bodies = (await Promise.all(answers.map((answer) => answer.json()))) as {
    choices: { message: { content: string } }[];
  }[];
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200));
  for (const body of bodies) {
    expect(body.choices[0]?.message.content).toBe("Hello! How can I help you?");
  }
  expect(await metric("lmserver_engine_starts_total")).toBe(1);
});

test("five hundred requests cancelled at random moments leave no slot taken", async () => {
  let state = 12_345;
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
  const cancelled = async (): Promise<void> => {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), random() * 40);
    try {
      const body = { ...story, stream: random() < 0.5, max_tokens: 400, n: random() < 0.2 ? 2 : 1 };
      await (await post("/v1/chat/completions", body, abort.signal)).text();
    } catch {
      // the abort this test is about
    } finally {
      clearTimeout(timer);
    }
  };
  for (let batch = 0; batch < 50; batch++) await Promise.all(Array.from({ length: 10 }, cancelled));
  await until(async () => (await metric("lmserver_requests_running")) === 0, "the engine is idle");
  expect(await metric("lmserver_engine_starts_total")).toBe(1);
  const answer = await post("/v1/chat/completions", hello);
  expect(answer.status).toBe(200);
}, 120_000);

test("a killed engine ends its streams with one error frame, and the next request is served", async () => {
  const response = await post("/v1/chat/completions", { ...story, stream: true, max_tokens: 1500 });
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = decoder.decode((await reader.read()).value, { stream: true });
  const [engine] = childrenOf(server.pid);
  process.kill(engine!, "SIGKILL");
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
  }
  const frames = text.trim().split("\n\n");
  expect(JSON.parse(frames.at(-1)!.slice("data: ".length))).toMatchObject({
    error: { type: "server_error", code: "internal_error", param: null },
  });
  expect(text).not.toContain("[DONE]");
  expect((await post("/v1/chat/completions", hello)).status).toBe(200);
});

test("the commands of the README work as pasted", async () => {
  if (Bun.which("curl") === null) return console.warn("no curl here: nothing is pasted");
  const shell = (script: string): string => {
    const child = Bun.spawnSync(["bash", "-c", script]);
    return child.stdout.toString();
  };
  const chat = shell(
    `curl -s ${server.url}/v1/chat/completions -H 'Content-Type: application/json' ` +
      `-d '{"model":"demo","messages":[{"role":"user","content":"Hello"}],"temperature":0}'`,
  );
  expect(JSON.parse(chat).choices[0].message.content).toBe("Hello! How can I help you?");
  const stream = shell(
    `curl -sN ${server.url}/v1/chat/completions -H 'Content-Type: application/json' ` +
      `-d '{"model":"demo","messages":[{"role":"user","content":"Hello"}],"stream":true}'`,
  );
  expect(stream).toEndWith("data: [DONE]\n\n");
  const models = JSON.parse(shell(`curl -s ${server.url}/v1/models`)) as { data: { id: string }[] };
  expect(models.data.map(({ id }) => id)).toEqual(["demo"]);
  const embeddings = shell(
    `curl -s ${server.url}/v1/embeddings -H 'Content-Type: application/json' ` +
      `-d '{"model":"demo","input":"Hello"}'`,
  );
  expect(JSON.parse(embeddings).data[0].embedding.length).toBeGreaterThan(10);
});

test("the documentation page and its document come from the executable alone", async () => {
  const page = await (await fetch(`${server.url}/swagger`)).text();
  expect(page).toContain("swagger-ui");
  const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
  expect(links.length).toBeGreaterThan(1);
  for (const link of links) {
    const target = new URL(link, `${server.url}/swagger`);
    expect(target.origin).toBe(server.url);
    expect((await fetch(target)).status).toBe(200);
  }
  const document = (await (await fetch(`${server.url}/swagger/json`)).json()) as {
    openapi: string;
    paths: Record<string, unknown>;
  };
  expect(document.openapi).toStartWith("3.1");
  expect(Object.keys(document.paths)).toContain("/v1/chat/completions");
});

test("probes answer", async () => {
  for (const path of ["/health", "/v1/health", "/livez", "/readyz", "/version", "/metrics"]) {
    expect((await fetch(`${server.url}${path}`)).status).toBe(200);
  }
  expect(await (await fetch(`${server.url}/`)).text()).toContain("/swagger");
  expect(await (await fetch(`${server.url}/lmstudio-greeting`)).json()).toEqual({ lmstudio: true });
});

test("a server of one slot and no queue answers a chat", async () => {
  const narrow = await startServer({ args: ["--parallel", "1", "--max-queue", "0"] });
  try {
    const messages = [{ role: "user", content: "Hello" }];
    const response = await fetch(`${narrow.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "demo", messages, max_tokens: 4 }),
    });
    expect(response.status).toBe(200);
  } finally {
    await narrow.stop();
  }
});
