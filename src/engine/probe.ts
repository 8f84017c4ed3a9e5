import { parseArgs } from "node:util";
import { LmError } from "../lib/errors.ts";
import { readSystemInfo } from "../llama/system-info.ts";
import { enterLibraryFolder } from "./library-folder.ts";

/**
 * `engine --probe`: loads the libraries, prints what they say about this machine as one JSON
 * document on stdout, and ends. A fault inside a library or a driver costs only this process.
 * @param argv `--probe --libraries DIR`, and what an engine is started with.
 * @returns the exit code: 1 with `{ "error": ... }` when the libraries cannot be loaded.
 */
export function runProbe(argv: readonly string[], print: (line: string) => void): number {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      probe: { type: "boolean" },
      libraries: { type: "string" },
      "build-id": { type: "string" },
    },
  });
  if (values.libraries === undefined) throw new Error("The probe needs --libraries");
  try {
    print(JSON.stringify(readSystemInfo(enterLibraryFolder(values.libraries))));
    return 0;
  } catch (error) {
    if (!(error instanceof LmError)) throw error;
    print(JSON.stringify({ error: error.message }));
    return 1;
  }
}
