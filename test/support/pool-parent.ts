/**
 * A process with a pool that streams for ever, until it is killed. It prints a line of JSON per 50
 * events: the engine's pid and how often the watchdog ended an engine.
 */
import { never, scriptedModel, scriptedPool, startedStream } from "./pool-fixture.ts";

const pool = scriptedPool({ limits: { watchdogMs: 2_000 } });
const lease = await pool.acquire(scriptedModel({ name: "m" }), never());
const stream = await startedStream(lease);
for (let events = 0; ; events += 1) {
  await stream.next();
  if (events % 50 > 0) continue;
  const { watchdogKills } = pool.statistics();
  process.stdout.write(`${JSON.stringify({ pid: pool.instances()[0]?.pid, watchdogKills })}\n`);
}
