import { hasCode } from "../lib/errors.ts";
import type { Terminal } from "./command.ts";
import type { Check } from "./doctor-folders.ts";
import { planServe } from "./serve-config.ts";

/**
 * What a start would refuse, in its own words, and what it would warn of.
 * @param args The doctor's; but for `--json` all of them are flags of `serve`.
 */
export function checkSettings(args: readonly string[], env: Terminal["env"]): Check[] {
  const check = (status: Check["status"], detail: string): Check => ({
    name: "settings",
    status,
    detail,
  });
  try {
    const { warnings } = planServe(
      args.filter((arg) => !/^--(no-)?json(=|$)/.test(arg)),
      env,
    );
    const advice = warnings.map((warning) => check("warn", warning));
    return advice.length > 0 ? advice : [check("ok", "a start accepts them")];
  } catch (error) {
    if (!hasCode(error, "invalid_config")) throw error;
    return error.details.problems.map((problem) => check("fail", problem));
  }
}
