import { parseArgs } from "node:util";
import { createFfiBackend } from "../llama/ffi-backend.ts";
import { mostThreads } from "../lib/compute-threads.ts";
import { defaultThreads } from "../llama/system-cpu.ts";
import { runEngineProcess } from "./engine-process.ts";
import { enterLibraryFolder } from "./library-folder.ts";

/**
 * The hidden verb `engine`: one process for one model, started by the server with an IPC channel.
 * @param argv `--libraries DIR --build-id ID`
 * @returns the exit code.
 */
export async function runEngine(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { libraries: { type: "string" }, "build-id": { type: "string" } },
  });
  const { libraries, "build-id": buildId } = values;
  if (libraries === undefined || buildId === undefined) {
    throw new Error("The engine needs --libraries and --build-id");
  }
  const libraryDir = enterLibraryFolder(libraries);
  return runEngineProcess({
    createBackend: () =>
      createFfiBackend({
        libraryDir,
        onLog: (level, text) => {
          if (level === "error" || level === "warn") process.stderr.write(`${text.trimEnd()}\n`);
        },
      }),
    defaultThreads,
    mostThreads,
    buildId,
  });
}
