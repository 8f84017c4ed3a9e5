/**
 * A server whose executable is replaced while it runs: it waits for a line on stdin, then loads a
 * model and prints the answer. Its engines are started the way the real executable starts them.
 */
import { join } from "node:path";
import { answer, BUILD_ID, scriptedModel, scriptedPool } from "./pool-fixture.ts";

const script = join(import.meta.dir, "scripted-engine.ts");
const command = ["/proc/self/exe", script, "--build-id", BUILD_ID];
const pool = scriptedPool({ engine: { command, buildId: BUILD_ID } });
process.stdout.write("started\n");
for await (const _line of console) {
  const model = scriptedModel({ name: "m" });
  const text = await answer(pool, model, { op: "count", tokens: 3 }).catch(String);
  process.stdout.write(`${text}\n`);
  break;
}
await pool.close(0);
