import { ExitError } from "./command.ts";
import { listInstances } from "./ps.ts";
import type { Target } from "./server-client.ts";

const POLL_MS = 200;

/**
 * Asks the server how far it is with loading a model until `loading` settles.
 * @param show gets 0 to 1. A server that does not tell is not asked again: the load decides.
 */
export async function watchLoad<Loaded>(
  target: Target,
  modelKey: string,
  loading: Promise<Loaded>,
  show: (share: number) => void,
): Promise<Loaded> {
  let isSettled = false;
  const settled = loading.then(
    () => void (isSettled = true),
    () => void (isSettled = true),
  );
  for (;;) {
    await Promise.race([settled, Bun.sleep(POLL_MS)]);
    if (isSettled) return loading;
    try {
      const { instances } = await listInstances(target);
      const own = instances.find(({ model, load_progress: p }) => model === modelKey && p !== null);
      if (own !== undefined) show(own.load_progress ?? 0);
    } catch (error) {
      if (!(error instanceof ExitError)) throw error;
      return loading;
    }
  }
}
