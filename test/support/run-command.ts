import { executableCommand } from "./executable.ts";

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs one command line of the product to its end. The environment holds PATH and what is given,
 * nothing else.
 * @param input Everything on standard input.
 */
export async function runCommand(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = "",
): Promise<CommandResult> {
  const child = Bun.spawn([...executableCommand(), ...words], {
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  return resultOf(child);
}

/** Waits for the end of a process that writes to pipes. */
export async function resultOf(
  child: Bun.Subprocess<Bun.SpawnOptions.Writable, "pipe", "pipe">,
): Promise<CommandResult> {
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}
