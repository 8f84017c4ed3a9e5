type Environment = Readonly<Record<string, string | undefined>>;

/** How a URL is reached. `exempt`: a proxy is set, but `NO_PROXY` names this host. */
export type Route = { kind: "direct" } | { kind: "exempt" } | { kind: "proxy"; proxy: string };

export const PROXY_VARIABLES = ["https_proxy", "http_proxy", "all_proxy", "no_proxy"].flatMap(
  (name) => [name, name.toUpperCase()],
);

/** Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, lower case first, as curl does. */
export function routeTo(url: URL, env: Environment): Route {
  const variables = url.protocol === "https:" ? ["https_proxy"] : ["http_proxy"];
  const proxy = [...variables, "all_proxy"]
    .flatMap((name) => [env[name], env[name.toUpperCase()]])
    .find((value) => value !== undefined && value !== "");
  if (proxy === undefined) return { kind: "direct" };
  const exempt = env["no_proxy"] ?? env["NO_PROXY"] ?? "";
  return isExempt(url, exempt) ? { kind: "exempt" } : { kind: "proxy", proxy };
}

/** A list of hosts and domains, with or without leading dot and port; `*` = every host. */
function isExempt(url: URL, list: string): boolean {
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return list
    .split(",")
    .map((item) => item.trim().toLowerCase())
    .some((item) => {
      if (item === "*") return true;
      const named = /^(.*):(\d+)$/.exec(item);
      if (named !== null && named[2] !== port) return false;
      const domain = (named?.[1] ?? item).replace(/^\*?\./, "");
      return domain !== "" && (url.hostname === domain || url.hostname.endsWith(`.${domain}`));
    });
}
