/**
 * An engine process over the fake backend: `bun test/support/fake-engine.ts --build-id ID
 * [--decode-ms N] [--reason-bytes N]`, started with an IPC channel like the real one.
 */
import { parseArgs } from "node:util";
import { runEngineProcess } from "../../src/engine/engine-process.ts";
import { FakeBackend } from "./fake-backend.ts";

const { values } = parseArgs({
  options: {
    libraries: { type: "string" },
    "build-id": { type: "string", default: "test" },
    /** Milliseconds each decode takes. */
    "decode-ms": { type: "string", default: "0" },
    /** Length of the reason for which a model cannot be loaded. */
    "reason-bytes": { type: "string", default: "0" },
  },
});
const decodeMs = Number(values["decode-ms"]);
const reasonBytes = Number(values["reason-bytes"]);

process.exit(
  await runEngineProcess({
    createBackend: () => new FakeBackend({ decodeMs: () => decodeMs, reasonBytes }),
    defaultThreads: () => 1,
    mostThreads: () => 4,
    buildId: values["build-id"],
  }),
);
