import { flagSetting } from "../config/word-settings.ts";
import { SERVE_SETTINGS } from "../config/settings.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { getHere, getThere, type GetResult, type GetState } from "./get-model.ts";
import { isAboutJobs, JOB_FLAGS, runJobs } from "./get-jobs.ts";
import { watchInterrupt } from "./interrupt.ts";
import { namesOtherFolders, ownModelsDirs } from "./local-catalog.ts";
import { sizeText } from "./model-json.ts";
import { openProgress } from "./progress.ts";
import { CLIENT_FLAGS, findServer } from "./server-client.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  detach: flagSetting({
    flag: "detach",
    fallback: false,
    flagOnly: true,
    help: "Let the running server do it, and do not wait",
  }),
  ...JOB_FLAGS,
  modelsDirs: SERVE_SETTINGS.modelsDirs,
  ...CLIENT_FLAGS,
};

/**
 * `lmserver get <owner/repo[@quant] | URL>`: by the running server, or in this process when there is
 * none or another folder is named.
 */
export const get: Command = {
  settings: FLAGS,
  operands: "<owner/repo[@quant] | URL>",
  async run(args, terminal) {
    const { values, operands, fromFlags } = parseVerb(FLAGS, args, terminal.env, { operands: 1 });
    const [model] = operands;
    if (isAboutJobs(values)) return runJobs(values, findServer(values, terminal), terminal);
    if (model === undefined)
      throw new ExitError(EXIT.usage, "Which model? For example: lmserver get owner/repo@Q4_K_M");
    if (!model.includes("/"))
      throw new ExitError(
        EXIT.usage,
        `${JSON.stringify(model.slice(0, 80))} lacks the slash between owner and repository: ` +
          "write owner/repo, owner/repo@Q4_K_M or a URL",
      );
    const target = findServer(values, terminal);
    const isNamed = values.host !== null || values.port !== null;
    const isElsewhere = namesOtherFolders(values, target.own);
    if (fromFlags.has("modelsDirs") && isElsewhere && (isNamed || values.detach))
      throw new ExitError(EXIT.usage, "--models-dir: a server downloads into its own folder only");
    // A server knows its own folder only; this process can fill another one.
    const isThere = isNamed || (target.own !== null && !isElsewhere);
    if (values.detach && !isThere)
      throw new ExitError(EXIT.unreachable, "--detach needs a running server, and there is none.");
    const stopped = isThere
      ? "No longer waiting; the server goes on with the download."
      : "The download was stopped; the same command goes on with it.";
    using interrupt = watchInterrupt(stopped);
    using progress = openProgress("Downloading", terminal, values.quiet || values.detach);
    const show = (state: GetState): void =>
      progress.update(shareOf(state), detailOf(state, terminal));
    const { signal } = interrupt;
    if (isThere) {
      const result = await getThere(target, { model, isDetached: values.detach, show, signal });
      progress[Symbol.dispose]();
      return report(result, values.json, terminal);
    }
    process.umask(0o077);
    const [modelsDir] = ownModelsDirs(values.modelsDirs, terminal.env);
    const result = await getHere({ model, modelsDir, env: terminal.env, show, signal });
    progress[Symbol.dispose]();
    return report(result, values.json, terminal);
  },
};

const shareOf = ({ doneBytes, totalBytes }: GetState): number =>
  totalBytes === 0 ? 0 : doneBytes / totalBytes;

function detailOf(
  { doneBytes, totalBytes, bytesPerSecond }: GetState,
  { isTty }: Terminal,
): string {
  const speed = bytesPerSecond === null ? "" : `${sizeText(Math.round(bytesPerSecond))}/s`;
  const size = `${isTty.stderr ? `${sizeText(doneBytes)} of ` : "of "}${sizeText(totalBytes)}`;
  return `${size} ${speed}`.trimEnd();
}

function report(result: GetResult, asJson: boolean, { print }: Terminal): number {
  if (asJson) print(JSON.stringify(result));
  else if (result.status === "already_downloaded")
    print("Model already downloaded. To use, run: lmserver load <model>");
  else if (result.status === "downloading") print(`The server downloads it: ${result.jobId}`);
  else print("Download completed.");
  if (!asJson && result.path !== null) print(result.path);
  return EXIT.ok;
}
