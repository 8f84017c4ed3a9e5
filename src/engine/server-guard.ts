import { forbidCoreFiles } from "../llama/process-guard.ts";

/** What the server's own process gives up at its start: it holds keys, prompts and answers. */
export function guardServer(): void {
  forbidCoreFiles();
}
