import { forbidCoreFiles } from "../llama/process-guard.ts";
import { takeShortTurns } from "../llama/short-turns.ts";

/**
 * What the server's own process does at its start: it holds keys, prompts and answers, and it has a
 * moment's work for each token beside engines that compute without end.
 */
export function prepareServerProcess(): void {
  forbidCoreFiles();
  takeShortTurns();
}
