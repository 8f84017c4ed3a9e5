import type { Node, Parsed } from "./parse.ts";
import { UnsupportedTemplate } from "./scan.ts";

/** Templates within templates; one that uses itself has no end. */
const MAX_CALLS = 16;
/** Of the whole, since a template that uses another twice doubles it. */
const MAX_NODES = 10_000;

/**
 * The nodes with every other template in its place.
 * @throws UnsupportedTemplate for a name that is not defined, and for what would not end.
 */
export function expandTemplates({ nodes, definitions }: Parsed): Node[] {
  let count = 0;
  const expand = (inner: readonly Node[], calls: number): Node[] =>
    inner.map((node): Node => {
      count += 1;
      if (count > MAX_NODES) throw new UnsupportedTemplate("it has too many actions");
      if (node.kind === "template") {
        const body = definitions.get(node.name);
        if (body === undefined) throw new UnsupportedTemplate("a template is not defined");
        if (calls === MAX_CALLS) throw new UnsupportedTemplate("its templates are too deep");
        return { kind: "scoped", value: node.value, body: expand(body, calls + 1) };
      }
      if ("otherwise" in node) {
        const otherwise = expand(node.otherwise, calls);
        return { ...node, body: expand(node.body, calls), otherwise };
      }
      return node;
    });
  return expand(nodes, 0);
}
