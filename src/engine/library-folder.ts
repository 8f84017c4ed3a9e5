import { resolve } from "node:path";

/**
 * Makes the folder of the libraries this process's own. Their search path ends in an empty entry
 * (`$ORIGIN:`), which the loader takes for the current folder: whoever starts the server in a folder of
 * downloads would get a `libstdc++.so.6` from there.
 * @returns its absolute path.
 */
export function enterLibraryFolder(folder: string): string {
  const path = resolve(folder);
  process.chdir(path);
  return path;
}
