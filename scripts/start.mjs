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

/** The shell tells its number: asked for later it may be gone, and its child another's. */
const SHELL = /^--shell=(.*)$/;

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const file = join(root, "dist", `lmserver${process.platform === "win32" ? ".exe" : ""}`);
const words = process.argv.slice(SHELL.test(process.argv[2] ?? "") ? 3 : 2);
const server = spawn(file, words, { stdio: "inherit" });
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

const parent = parentOf(process.argv[2] ?? "");
const looking = setInterval(() => {
  if (hasParent()) return;
  clearInterval(looking);
  if (!isAsked) server.kill("SIGTERM");
}, LOOK_MS);

/** A shell may have become this process, and that of Windows does not know its number. */
function parentOf(word) {
  const shell = Number(SHELL.exec(word)?.[1] || Number.NaN);
  return Number.isInteger(shell) && shell !== process.pid ? shell : process.ppid;
}

/** Orphans get another parent, but on Windows, where the number of the old one stays. */
function hasParent() {
  if (process.ppid !== parent) return false;
  try {
    return process.kill(parent, 0);
  } catch ({ code }) {
    return code === "EPERM";
  }
}
