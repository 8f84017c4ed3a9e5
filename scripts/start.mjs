/**
 * Runs the built server for `npm start`: hands signals on and ends with its exit code. npm's SIGTERM
 * ends only the shell in between, so that one's end is the wish to stop as well.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** How often the parent is looked at. */
const LOOK_MS = 100;

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const file = join(root, "dist", `lmserver${process.platform === "win32" ? ".exe" : ""}`);
const server = spawn(file, process.argv.slice(2), { stdio: "inherit" });
server.on("error", ({ message }) => {
  console.error(message);
  process.exit(1);
});
server.on("exit", (code, signal) => {
  process.exit(code ?? 128 + constants.signals[signal]);
});

let isAsked = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGHUP") isAsked = true;
    // Ctrl-C reaches every process at the terminal, and a second one would end the server at once.
    if (signal !== "SIGINT" || !process.stdin.isTTY) server.kill(signal);
  });
}

const parent = process.ppid;
const looking = setInterval(() => {
  if (hasParent()) return;
  clearInterval(looking);
  if (!isAsked) server.kill("SIGTERM");
}, LOOK_MS);

/** Orphans get another parent, but on Windows, where the number of the old one stays. */
function hasParent() {
  if (process.ppid !== parent) return false;
  try {
    return process.kill(parent, 0);
  } catch ({ code }) {
    return code === "EPERM";
  }
}
