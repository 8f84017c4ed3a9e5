import { writeSync } from "node:fs";
import { runCli } from "./cli/run-cli.ts";

process.exitCode = await runCli(process.argv.slice(2), {
  print: (line) => void writeSync(1, `${line}\n`),
  note: (line) => void writeSync(2, `${line}\n`),
  env: process.env,
});
