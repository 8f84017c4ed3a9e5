import type { CatalogModel } from "../catalog/model.ts";
import type { BuildInfo } from "../bundle/bundle.ts";

export interface BannerFacts {
  build: Pick<BuildInfo, "version" | "llamaRelease" | "gpuBackends">;
  /** Every address, the one for clients on this machine first. */
  urls: readonly string[];
  models: readonly CatalogModel[];
  brokenCount: number;
  modelsDirs: readonly string[];
  jit: boolean;
  isProtected: boolean;
  /** How a client gets the key in a shell; null = a placeholder. */
  keyInShell: string | null;
}

const ENDPOINTS = [
  "GET  /v1/models",
  "POST /v1/chat/completions",
  "POST /v1/completions",
  "POST /v1/embeddings",
  "POST /api/v1/chat",
  "GET  /swagger",
];

/** How many models are named before the rest is only counted. */
const NAMED_MODELS = 8;

/** What a person wants to know once the server runs. */
export function bannerLines(facts: BannerFacts): string[] {
  const [url = "", ...others] = facts.urls;
  const { version, llamaRelease, gpuBackends } = facts.build;
  const backends = [
    "CPU",
    ...gpuBackends.map((name) => (name === "cuda" ? "CUDA" : capital(name))),
  ];
  return [
    `lmserver ${version} (engine llama.cpp ${llamaRelease}, ${backends.join(", ")})`,
    `Success! HTTP server listening on ${url}`,
    ...others.map((other) => `                 also reachable at ${other}`),
    "Supported endpoints:",
    ...ENDPOINTS.map((line) => `  ->  ${line.replace("/", `${url}/`)}`),
    facts.jit
      ? "Just-in-time model loading active."
      : "Just-in-time model loading is off: only models given with --load answer.",
    ...modelLines(facts),
    "Try it:",
    `  ${curlLine(url, facts)}`,
  ];
}

/** Warnings about who can reach the server, loud ones first. */
export function exposureWarnings(
  facts: Pick<BannerFacts, "isProtected"> & { bind: string; cors: boolean },
): string[] {
  const warnings: string[] = [];
  if (!isLoopback(facts.bind) && !facts.isProtected) {
    warnings.push(
      "WARNING: the server accepts connections from the network and requires no key.",
      "WARNING: everyone who can reach this machine can use it. Add --api-key-file, or --bind 127.0.0.1.",
    );
  } else if (!isLoopback(facts.bind)) {
    warnings.push("The server accepts connections from the network; clients need the key.");
  }
  if (facts.cors && !facts.isProtected)
    warnings.push("CORS is on: web pages of the allowed origins can use the server.");
  return warnings;
}

/** Whether only this machine can connect to the address. */
export function isLoopback(bind: string): boolean {
  return bind === "localhost" || bind === "::1" || /^127(\.\d{1,3}){3}$/.test(bind);
}

function modelLines({ models, brokenCount, modelsDirs }: BannerFacts): string[] {
  const embeddings = models.filter((model) => model.kind === "embedding").length;
  const counts = `${models.length - embeddings} LLM, ${embeddings} embedding`;
  const lines = [`Models: ${models.length} (${counts}) in ${modelsDirs.join(", ")}`];
  for (const model of models.slice(0, NAMED_MODELS)) lines.push(`  ${model.key}`);
  if (models.length > NAMED_MODELS)
    lines.push(`  and ${models.length - NAMED_MODELS} more: lmserver ls`);
  if (brokenCount > 0) lines.push(`  ${brokenCount} more cannot be used; see: lmserver ls`);
  return lines;
}

function curlLine(url: string, { models, isProtected, keyInShell }: BannerFacts): string {
  const key = isProtected ? ` -H "Authorization: Bearer ${keyInShell ?? "YOUR_KEY"}"` : "";
  const model = models.find((candidate) => candidate.kind === "llm");
  if (model === undefined) return `curl ${url}/v1/models${key}`;
  const body = { model: model.key, messages: [{ role: "user", content: "Hello!" }] };
  const data = JSON.stringify(body).replaceAll("'", "\\u0027");
  return `curl ${url}/v1/chat/completions${key} -H 'Content-Type: application/json' -d '${data}'`;
}

const capital = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1);
