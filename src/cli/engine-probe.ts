import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import { engineEnvironment } from "../pool/engine-environment.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";

/** What `engine --probe` says about this machine. */
const EngineProbe = Type.Object({
  release: Type.String(),
  features: Type.String(),
  cpuVariant: Type.Union([Type.String(), Type.Null()]),
  threads: Type.Integer(),
  devices: Type.Array(
    Type.Object({
      name: Type.String(),
      description: Type.String(),
      isGpu: Type.Boolean(),
      freeBytes: Type.Number(),
      totalBytes: Type.Number(),
    }),
  ),
});
export type EngineProbe = Static<typeof EngineProbe>;

/** A driver that hangs must not hang the doctor. */
const LIMIT_MS = 30_000;

/** @throws ExitError (engineUnavailable) with the libraries' own words. */
export async function probeEngine(
  engineCommand: readonly string[],
  env: Terminal["env"],
): Promise<EngineProbe> {
  const child = Bun.spawn([...engineCommand, "--probe"], {
    env: engineEnvironment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const document = lastDocument(stdout);
  if (Value.Check(EngineProbe, document)) return document;
  const said = Value.Check(Type.Object({ error: Type.String() }), document)
    ? document.error
    : stderr.trim().split("\n").slice(-3).join(" ");
  const how = child.signalCode ?? `code ${code}`;
  throw new ExitError(
    EXIT.engineUnavailable,
    `The engine cannot load its libraries (ended with ${how}): ${said}`,
  );
}

/** The last line that is JSON: drivers may print before it. */
function lastDocument(stdout: string): unknown {
  try {
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  } catch {
    return null; // what came instead is reported by the caller
  }
}
