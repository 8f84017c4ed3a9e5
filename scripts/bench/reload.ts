import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/**
 * Time from a request for an unloaded model to its first token, the file being in the system's cache.
 *
 *   bun scripts/bench/reload.ts MODEL.gguf [ROUNDS]
 */

const [model, rounds = "9"] = process.argv.slice(2);
if (model === undefined) throw new Error("Which model?");
const executable = resolve(import.meta.dir, "../../dist/lmserver");
const home = mkdtempSync(join(tmpdir(), "lmserver-bench-"));
symlinkSync(resolve(model), join(home, "model.gguf"));
const flags = ["--port", "0", "--json-ready", "--no-demo", "--models-dir", home];
const server = Bun.spawn([executable, "serve", ...flags], {
  env: { PATH: process.env["PATH"] ?? "", HOME: home },
  stdout: "pipe",
  stderr: "ignore",
});
try {
  const { value } = await server.stdout.getReader().read();
  const { url } = JSON.parse(new TextDecoder().decode(value)) as { url: string };
  await firstTokenMs(url);
  const times: number[] = [];
  for (let round = 0; round < Number(rounds); round += 1) {
    const body = JSON.stringify({ instance_id: "model" });
    const unloaded = await fetch(`${url}/api/v1/models/unload`, { method: "POST", body });
    if (!unloaded.ok) throw new Error(await unloaded.text());
    times.push(await firstTokenMs(url));
  }
  const sorted = times.toSorted((a, b) => a - b).map((ms) => ms.toFixed(0));
  console.log(`median ${sorted[Math.floor(sorted.length / 2)]} ms, all ${sorted.join(" ")}`);
} finally {
  server.kill();
  await server.exited;
  rmSync(home, { recursive: true });
}

async function firstTokenMs(url: string): Promise<number> {
  const request = { model: "model", prompt: "Hello", max_tokens: 4, stream: true };
  const startMs = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ ...request, ignore_eos: true }),
  });
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error("an answer without a body");
  const decoder = new TextDecoder();
  for (let text = ""; !text.includes("data:");) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`no token came: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  const ms = performance.now() - startMs;
  await reader.cancel();
  return ms;
}
