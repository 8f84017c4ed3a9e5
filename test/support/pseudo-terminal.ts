import { executableCommand } from "./executable.ts";
import { until } from "./until.ts";

/** A verb that believes a person sits before it. */
export interface TerminalSession {
  /** Everything shown so far, with the terminal's own codes. */
  shown(): string;
  type(text: string): void;
  /** Waits until `text` is shown after what was awaited before. */
  see(text: string): Promise<void>;
  exited: Promise<number>;
  close(): void;
}

/** Runs one command line of the product on a pseudo-terminal of 100 columns. */
export const openTerminal = (
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): TerminalSession => openProgram([...executableCommand(), ...words], env);

/** Runs any program there. */
export function openProgram(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd = process.cwd(),
): TerminalSession {
  let text = "";
  let seen = 0;
  const decoder = new TextDecoder();
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", ...env },
    terminal: {
      cols: 100,
      rows: 30,
      data(_terminal, bytes) {
        text += decoder.decode(bytes, { stream: true });
      },
    },
  });
  return {
    shown: () => text,
    type: (keys) => void child.terminal?.write(keys),
    async see(wanted) {
      await until(() => text.indexOf(wanted, seen) >= 0, `${wanted} in ${JSON.stringify(text)}`);
      seen = text.indexOf(wanted, seen) + wanted.length;
    },
    exited: child.exited,
    close: () => child.terminal?.close(),
  };
}
