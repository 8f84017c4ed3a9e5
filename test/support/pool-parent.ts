/** A process with a pool that streams for ever, until it is killed. argv: file for the engine's pid. */
import { never, scriptedModel, scriptedPool, startedStream } from "./pool-fixture.ts";

const pidFile = process.argv[2] ?? "";
const pool = scriptedPool();
const lease = await pool.acquire(scriptedModel({ name: "m", pidFile }), never());
const stream = await startedStream(lease);
for (;;) await stream.next();
