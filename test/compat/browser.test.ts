import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { tempFolder } from "../support/temp-folder.ts";
import { type TestServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** T-A2: what a page in a real browser can make the server do, and what it cannot. */

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = [
  ..."--headless --no-sandbox --disable-gpu --disable-quic --no-first-run".split(" "),
  ..."--disable-background-networking --disable-component-update --disable-sync".split(" "),
  // The browser's own question before a page reaches local addresses would hide a missing defence.
  "--disable-features=LocalNetworkAccessChecks",
  "--host-resolver-rules=MAP a.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];
const isHere = existsSync(CHROMIUM);
if (!isHere) console.warn(`no browser at ${CHROMIUM}: the tests with a real browser are skipped`);

/** Requests that change something or cost something, each with a body that its route would take. */
const TARGETS: readonly { path: string; body: unknown }[] = [
  { path: "/v1/chat/completions", body: { messages: [{ role: "user", content: "Hello" }] } },
  { path: "/v1/completions", body: { prompt: "The quick", max_tokens: 2 } },
  { path: "/v1/embeddings", body: { input: "Hello" } },
  { path: "/api/v1/chat", body: { input: "Hello" } },
  { path: "/api/v1/models/load", body: {} },
  { path: "/api/v1/models/unload", body: { instance_id: "demo" } },
  { path: "/api/v1/models/download", body: {} },
].map(({ path, body }) => ({ path, body: { model: "demo", ...body } }));

/** The hostile page: each target by five ways that no preflight guards, then a word to its server. */
function page(base: string): string {
  return `<!doctype html><title>hostile</title><body><script>
const targets = ${JSON.stringify(TARGETS)}.map(({ path, body }) => [${JSON.stringify(base)} + path, JSON.stringify(body)]);
let frames = 0;
const form = (url, text, enctype) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.name = "frame" + ++frames;
  document.body.appendChild(frame);
  const form = document.body.appendChild(document.createElement("form"));
  Object.assign(form, { method: "POST", action: url, target: frame.name, enctype });
  const field = form.appendChild(document.createElement("input"));
  field.name = text.slice(0, -1) + ', "x": "';
  field.value = '"}';
  frame.onload = resolve;
  form.submit();
});
(async () => {
  let readable = 0;
  for (const [url, text] of targets) {
    const noCors = { method: "POST", mode: "no-cors", body: new Blob([text]) };
    await fetch(url, noCors).catch(() => {});
    await fetch(url, { method: "POST", body: new Blob([text]) }).then(() => readable++, () => {});
    navigator.sendBeacon(url, new Blob([text]));
    for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
      await form(url, text, enctype);
  }
  await fetch("/done?readable=" + readable);
})();
</script>`;
}

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ args: ["--allow-llm-embeddings"] });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

async function metrics(name: string): Promise<string[]> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

const sum = (lines: readonly string[]): number =>
  lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);

/** Opens the hostile page as `host` in a fresh browser. @returns how many answers it could read. */
async function visit(host: string): Promise<number> {
  using folder = tempFolder();
  let readable: number | null = null;
  const site = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const url = new URL(request.url);
      if (url.pathname === "/done") readable = Number(url.searchParams.get("readable"));
      return new Response(page(server.url), { headers: { "content-type": "text/html" } });
    },
  });
  const browser = Bun.spawn(
    [CHROMIUM, ...FLAGS, `--user-data-dir=${folder.path}`, `http://${host}:${site.port}/`],
    {
      env: { PATH: process.env["PATH"] ?? "", HOME: folder.path },
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  try {
    await until(() => readable !== null, "the page has tried everything");
  } finally {
    browser.kill("SIGTERM");
    await browser.exited;
    await site.stop(true);
    rmSync(folder.path, { recursive: true, force: true, maxRetries: 5 });
  }
  return readable ?? -1;
}

describe.if(isHere)("a page of another origin in Chromium", () => {
  test("changes and computes nothing and reads nothing, whatever it sends", async () => {
    expect(await visit("a.test")).toBe(0);
    expect(sum(await metrics("lmserver_engine_starts_total"))).toBe(0);
    const answered = await metrics("lmserver_http_requests_total");
    const posts = answered.filter((line) => !line.includes('route="/metrics"'));
    // Each target was reached five times; every one was refused before its route was looked up.
    expect(sum(posts.filter((line) => line.includes('status="403"')))).toBeGreaterThanOrEqual(
      TARGETS.length * 5,
    );
    expect(posts.filter((line) => !line.includes('status="403"'))).toEqual([]);
  }, 120_000);

  test("would have succeeded from a page of this machine, which the contract lets through", async () => {
    expect(await visit("localhost")).toBe(0); // without --cors it can send, but read nothing
    expect(sum(await metrics("lmserver_engine_starts_total"))).toBe(1);
    const refusedTypes = (await metrics("lmserver_http_requests_total")).filter((line) =>
      line.includes('status="415"'),
    );
    expect(sum(refusedTypes)).toBeGreaterThan(0); // what a form can send is refused from anywhere
  }, 120_000);
});
