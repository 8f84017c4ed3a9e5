/** The system's word for what failed, such as EACCES or EADDRINUSE; null when it said none. */
export function systemCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** Whether the system has no file descriptor left, which says nothing about what was to be opened. */
export const isStarvation = (error: unknown): boolean =>
  ["EMFILE", "ENFILE"].includes(systemCode(error) ?? "");
