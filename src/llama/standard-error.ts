import { dlopen } from "bun:ffi";
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const STDERR = 2;

interface Descriptors {
  duplicate(descriptor: number): number;
  replace(from: number, to: number): number;
  /** An open file that nobody else sees. */
  scratch(): number;
}

let descriptors: Descriptors | null | undefined;

/**
 * Runs `call` with standard error led into a file, and returns what was written to it. For C code
 * that reports only there. On Windows nothing is captured.
 */
export function captureStandardError<Result>(call: () => Result): { result: Result; text: string } {
  descriptors ??= openDescriptors();
  if (!descriptors) return { result: call(), text: "" };
  const saved = descriptors.duplicate(STDERR);
  if (saved < 0) return { result: call(), text: "" };
  const file = descriptors.scratch();
  descriptors.replace(file, STDERR);
  try {
    const result = call();
    const buffer = new Uint8Array(Math.min(fstatSync(file).size, 64 * 1024));
    readSync(file, buffer, 0, buffer.length, 0);
    return { result, text: new TextDecoder().decode(buffer) };
  } finally {
    descriptors.replace(saved, STDERR);
    closeSync(saved);
    closeSync(file);
  }
}

function openDescriptors(): Descriptors | null {
  if (process.platform === "win32") return null;
  const shared = {
    dup: { args: ["i32"], returns: "i32" },
    dup2: { args: ["i32", "i32"], returns: "i32" },
  } as const;
  if (process.platform === "darwin") {
    const { symbols } = dlopen("libSystem.B.dylib", shared);
    return { duplicate: symbols.dup, replace: symbols.dup2, scratch: unlinkedFile };
  }
  const { symbols } = dlopen("libc.so.6", {
    ...shared,
    memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  });
  const name = new TextEncoder().encode("captured\0");
  return {
    duplicate: symbols.dup,
    replace: symbols.dup2,
    scratch: () => symbols.memfd_create(name, 1),
  };
}

function unlinkedFile(): number {
  const folder = mkdtempSync(join(tmpdir(), "lmserver-"));
  try {
    return openSync(join(folder, "captured"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
