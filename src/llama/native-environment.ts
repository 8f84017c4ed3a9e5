import { dlopen } from "bun:ffi";
import { cString } from "./native-text.ts";

/**
 * Sets a variable where C code reads it: changes of `process.env` do not reach that. Nothing happens
 * on Windows.
 */
export function setNativeVariable(name: string, value: string): void {
  if (process.platform === "win32") return;
  const library = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
  const { symbols } = dlopen(library, {
    setenv: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  });
  symbols.setenv(cString(name), cString(value), 1);
}
