import type { CatalogModel } from "./model.ts";
import type { KeyedModels } from "./model-keys.ts";

/** Another name for a model. `*` in `name` stands for any text, also none. */
export interface ModelAlias {
  name: string;
  /** A key, variant, file name or path; not another alias. */
  target: string;
}

/** A key, variant or `publisher/name` as it is written; only the quantisation is read without case. */
export function findExactly({ byName }: KeyedModels, name: string): CatalogModel | null {
  const at = name.lastIndexOf("@");
  const variant = at < 0 ? name : name.slice(0, at) + name.slice(at).toLowerCase();
  return byName.get(name) ?? byName.get(variant) ?? null;
}

/** Aliases whose target is no model. */
export function danglingAliases(
  keyed: KeyedModels,
  aliases: readonly ModelAlias[],
): readonly ModelAlias[] {
  return aliases.filter(({ target }) => findDirect(keyed, target) === null);
}

/** Looks a name up in the order of the contract; see `Catalog.find`. */
export function findModel(
  keyed: KeyedModels,
  aliases: readonly ModelAlias[],
  name: string,
): CatalogModel | null {
  const direct = findDirect(keyed, name);
  if (direct !== null) return direct;
  const exact = aliases.find((alias) => alias.name === name);
  const alias = exact ?? aliases.find((candidate) => matches(candidate.name, name));
  return alias === undefined ? null : findDirect(keyed, alias.target);
}

function findDirect(keyed: KeyedModels, name: string): CatalogModel | null {
  const exact = findExactly(keyed, name);
  if (exact !== null) return exact;
  const folded = name.toLowerCase();
  const unfolded = keyed.byName.get(folded);
  if (unfolded !== undefined) return unfolded;
  return (
    onlyOne(keyed, (path) => fileMatches(path.slice(path.lastIndexOf("/") + 1), name)) ??
    onlyOne(keyed, (path) => fileMatches(path, name))
  );
}

/** A file name or path, with or without `.gguf`. */
function fileMatches(path: string, name: string): boolean {
  return path === name || (path.endsWith(".gguf") && path.slice(0, -".gguf".length) === name);
}

/** A name that two files share means neither of them. */
function onlyOne(keyed: KeyedModels, fits: (relativePath: string) => boolean): CatalogModel | null {
  const found = keyed.models.filter((model) => fits(keyed.relativePaths.get(model) ?? ""));
  return found.length === 1 ? (found[0] ?? null) : null;
}

/** Whether `pattern` with `*` covers the whole name. Linear: no backtracking beyond one star. */
export function matches(pattern: string, name: string): boolean {
  const parts = pattern.split("*");
  const [head = "", ...rest] = parts;
  const tail = rest.pop();
  if (tail === undefined) return pattern === name;
  if (!name.startsWith(head) || name.length < head.length + tail.length) return false;
  let at = head.length;
  const end = name.length - tail.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return name.endsWith(tail);
}
