import { dlopen } from "bun:ffi";

/** From linux/prctl.h, bits/resource.h and bits/signum.h. */
const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const RLIMIT_CORE = 4;
const SIGKILL = 9;

/**
 * Has the kernel kill this process when its parent dies, even by SIGKILL and even while this thread
 * is busy. Exits at once when the parent is gone already. Linux only; elsewhere nothing happens.
 * @param parentPid The process that must be the parent.
 */
export function dieWithParent(parentPid: number): void {
  if (process.platform !== "linux") return;
  systemCalls().prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (process.ppid !== parentPid) process.exit(1);
}

/** Bars this process and its children from gaining rights, by set-user-id files for example. */
export function forbidNewPrivileges(): boolean {
  if (process.platform !== "linux") return false;
  return systemCalls().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) === 0;
}

/** No core files, and no other process of this user may read this one's memory. Linux only. */
export function forbidMemoryDumps(): boolean {
  if (process.platform !== "linux") return false;
  return systemCalls().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0 && forbidCoreFiles();
}

/** A process that crashes leaves no file with what it held: prompts, answers, keys. Linux only. */
export function forbidCoreFiles(): boolean {
  if (process.platform !== "linux") return false;
  return systemCalls().setrlimit(RLIMIT_CORE, new BigUint64Array(2)) === 0;
}

function systemCalls() {
  return dlopen("libc.so.6", {
    prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
    setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  }).symbols;
}
