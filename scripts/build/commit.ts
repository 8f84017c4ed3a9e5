/** The commit the sources are at, with "+" when they differ from it; "unknown" without git. */
export function commitOf(root: string): string {
  const program = Bun.which("git");
  if (program === null) return "unknown";
  const git = (...words: string[]) => Bun.spawnSync([program, ...words], { cwd: root });
  const head = git("rev-parse", "--short=12", "HEAD");
  if (head.exitCode !== 0) return "unknown";
  const isDirty = git("status", "--porcelain", "--", "src", "package.json").stdout.length > 0;
  return head.stdout.toString().trim() + (isDirty ? "+" : "");
}
