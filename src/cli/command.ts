import type { Setting } from "../config/setting.ts";

/** Process exit codes; the contract of scripts and service managers. */
export const EXIT = {
  ok: 0,
  /** Not found, load failed, the server answered an error. */
  failed: 1,
  /** Unknown verb or flag, bad value. */
  usage: 2,
  /** No server answers. */
  unreachable: 3,
  /** Port in use, bind refused, no permission. */
  cannotStart: 4,
  /** The carried libraries cannot be extracted or loaded. */
  engineUnavailable: 5,
} as const;

/** What a verb may use of the process it runs in. Tests hand in their own. */
export interface Terminal {
  /** Writes one line to stdout: data only. @throws ReaderGone when nobody reads it any longer. */
  print: (line: string) => void;
  /** Writes one line to stderr: messages, progress, problems. */
  note: (line: string) => void;
  /** Writes a piece of text to stdout as it comes, for answers that arrive in pieces; throws alike. */
  write: (text: string) => void;
  /** Everything on stdin, at most 16 MiB. @throws ExitError when it is more. */
  readInput: () => Promise<string>;
  /** Which streams are a terminal that a person looks at. */
  isTty: Readonly<{ stdin: boolean; stdout: boolean; stderr: boolean }>;
  env: Readonly<Record<string, string | undefined>>;
}

/** One verb of the command line. */
export interface Command {
  /** Flags it accepts, for its help. */
  settings: Readonly<Record<string, Setting>>;
  /** Words after the verb, for its help, such as "[verb]"; "" = none. */
  operands: string;
  /** @returns the exit code. @throws LmError for expected failures. */
  run(args: readonly string[], terminal: Terminal): Promise<number>;
}

/** A failure with an exit code of its own. */
export class ExitError extends Error {
  override readonly name = "ExitError";
  readonly exitCode: number;
  /** One word for programs. */
  readonly code: string;

  constructor(exitCode: number, message: string, options?: ErrorOptions & { code?: string }) {
    super(message, options);
    this.exitCode = exitCode;
    this.code = options?.code ?? CODES.get(exitCode) ?? "failed";
  }
}

/** Whoever read stdout has left, such as `head` with all it wanted: a verb ends without a word. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

const CODES: ReadonlyMap<number, string> = new Map([
  [EXIT.usage, "usage"],
  [EXIT.unreachable, "unreachable"],
  [EXIT.cannotStart, "cannot_start"],
  [EXIT.engineUnavailable, "engine_unavailable"],
]);
