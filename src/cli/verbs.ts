import type { Command } from "./command.ts";
import { completionFlags, operandWords, type CompletionVerb } from "./completion-words.ts";

export interface Verb {
  name: string;
  summary: string;
  load(): Promise<Command>;
}

/** Verbs in the order of the help. Each is loaded only when it runs: engines start often. */
export const VERBS: readonly Verb[] = [
  {
    name: "serve",
    summary: "Run the server until it is signalled (the default)",
    load: async () => (await import("./serve.ts")).serve,
  },
  {
    name: "status",
    summary: "Say whether a server runs, and what it has loaded",
    load: async () => (await import("./status.ts")).status,
  },
  {
    name: "stop",
    summary: "Stop the server of this user",
    load: async () => (await import("./stop.ts")).stop,
  },
  {
    name: "ls",
    summary: "List the models on disk",
    load: async () => (await import("./ls.ts")).ls,
  },
  {
    name: "ps",
    summary: "List the loaded models",
    load: async () => (await import("./ps.ts")).ps,
  },
  {
    name: "get",
    summary: "Download a model from a hub",
    load: async () => (await import("./get.ts")).get,
  },
  {
    name: "import",
    summary: "Bring a model file into the models folder",
    load: async () => (await import("./import.ts")).importFile,
  },
  {
    name: "rm",
    summary: "Delete a model's files",
    load: async () => (await import("./rm.ts")).rm,
  },
  {
    name: "load",
    summary: "Load a model into the server's memory",
    load: async () => (await import("./load.ts")).load,
  },
  {
    name: "unload",
    summary: "Remove a model from the server's memory",
    load: async () => (await import("./unload.ts")).unload,
  },
  {
    name: "chat",
    summary: "Talk with a model, or ask it once with -p",
    load: async () => (await import("./chat.ts")).chat,
  },
  {
    name: "bench",
    summary: "Measure how fast a model is on this machine, and how much context is safe",
    load: async () => (await import("./bench.ts")).bench,
  },
  {
    name: "log",
    summary: "Watch what a server does",
    load: async () => (await import("./log.ts")).log,
  },
  {
    name: "token",
    summary: "Make, list and remove tokens, which servers with --require-auth demand",
    load: async () => (await import("./token.ts")).token,
  },
  {
    name: "install-service",
    summary: "Start the server with your session (systemd or launchd)",
    load: async () => (await import("./install-service.ts")).installService,
  },
  {
    name: "completions",
    summary: "Print the script that completes verbs and flags in bash, zsh or fish",
    load: async () => (await import("./completions.ts")).completionsCommand(describeVerbs),
  },
  {
    name: "doctor",
    summary: "Check that everything the server needs works on this machine",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  {
    name: "version",
    summary: "Print the version of the program and of its engine",
    load: async () => (await import("./version.ts")).version,
  },
];

/** The verbs and their flags, and `help`, as shells complete them. */
async function describeVerbs(): Promise<readonly CompletionVerb[]> {
  const verbs = await Promise.all(
    VERBS.map(async (verb) => {
      const { name, summary } = verb;
      const { settings, operands } = await verb.load();
      const flags = completionFlags(settings);
      return {
        name,
        summary,
        flags,
        words: operandWords(operands),
        takesFile: operands === "<file>",
      };
    }),
  );
  const words = VERBS.map(({ name }) => name);
  const help = { name: "help", summary: "Explain a verb", flags: [], words, takesFile: false };
  return [...verbs, help];
}
