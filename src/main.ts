import { processTerminal } from "./cli/process-terminal.ts";
import { runCli } from "./cli/run-cli.ts";

// An open channel or timer must not keep a finished process alive.
process.exit(await runCli(process.argv.slice(2), processTerminal()));
