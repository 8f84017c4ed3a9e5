/**
 * Waits until `condition` holds, asking every few ms; a minute without it is a failure.
 * @param what it is in words, for that failure.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = String(condition),
): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await Bun.sleep(2);
  }
}
