import { EXIT, ExitError, type Command } from "./command.ts";
import { completionScript, SHELLS } from "./completion-scripts.ts";
import type { CompletionVerb } from "./completion-words.ts";
import { parseVerb } from "./verb-flags.ts";

/**
 * `lmserver completions <shell>`.
 * @param describeVerbs The verbs with their flags; handed in, as this is one of them.
 */
export function completionsCommand(
  describeVerbs: () => Promise<readonly CompletionVerb[]>,
): Command {
  return {
    settings: {},
    operands: "bash | zsh | fish",
    async run(args, { print, env }) {
      const { operands } = parseVerb({}, args, env, { operands: 1 });
      const shell = SHELLS.find((name) => name === operands[0]);
      if (shell === undefined)
        throw new ExitError(EXIT.usage, `For which shell? One of ${SHELLS.join(", ")}`);
      print(completionScript(shell, await describeVerbs()));
      return EXIT.ok;
    },
  };
}
