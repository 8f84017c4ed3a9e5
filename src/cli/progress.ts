import type { Terminal } from "./command.ts";

/** The part of the package `cli-progress` used here; it carries no types. */
interface Bar {
  start(total: number, value: number, payload?: Record<string, unknown>): void;
  update(value: number, payload?: Record<string, unknown>): void;
  stop(): void;
}
interface BarPackage {
  SingleBar: new (options: Record<string, unknown>) => Bar;
}

/** How far something long has come, shown on stderr. */
export interface Progress extends Disposable {
  /** @param share 0 to 1. @param detail A few words, such as a speed. */
  update(share: number, detail?: string): void;
}

/** Lines on something that is no terminal come at each step of this many percent. */
const LINE_STEP = 10;

/**
 * A bar on a terminal, plain lines elsewhere and with NO_COLOR, nothing when `isQuiet`. Gone with
 * its scope.
 */
export function openProgress(
  label: string,
  { isTty, env, note }: Pick<Terminal, "isTty" | "env" | "note">,
  isQuiet: boolean,
): Progress {
  if (isQuiet) return { update: () => undefined, [Symbol.dispose]: () => undefined };
  const noColor = (env["NO_COLOR"] ?? "") !== "";
  return isTty.stderr && !noColor ? barProgress(label) : lineProgress(label, note);
}

function barProgress(label: string): Progress {
  const { SingleBar } = require("cli-progress") as BarPackage;
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% {detail}`,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    // Ctrl-C is the verb's own business.
    gracefulExit: false,
    stream: process.stderr,
  });
  bar.start(100, 0, { detail: "" });
  return {
    update: (share, detail = "") => bar.update(Math.floor(share * 100), { detail }),
    [Symbol.dispose]: () => bar.stop(),
  };
}

function lineProgress(label: string, note: (line: string) => void): Progress {
  let last = -1;
  return {
    update(share, detail = "") {
      const percent = Math.floor((share * 100) / LINE_STEP) * LINE_STEP;
      if (percent <= last) return;
      last = percent;
      note(`${label} ${percent}% ${detail}`.trimEnd());
    },
    [Symbol.dispose]: () => undefined,
  };
}
