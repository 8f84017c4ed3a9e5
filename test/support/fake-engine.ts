/**
 * An engine process over the fake backend: `bun test/support/fake-engine.ts --build-id ID
 * [--decode-ms N]`, started with an IPC channel like the real one.
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
  },
});
const decodeMs = Number(values["decode-ms"]);

process.exit(
  await runEngineProcess({
    createBackend: () => new FakeBackend({ decodeMs: () => decodeMs }),
    defaultThreads: () => 1,
    buildId: values["build-id"],
  }),
);
