import { openUrl, outboundOf } from "../../src/catalog/download/open-url.ts";

/** Opens one URL whose host resolves to 127.0.0.1, and prints the answer or the failure. */
const outbound = {
  ...outboundOf({}),
  lookup: () => Promise.resolve(["127.0.0.1"]),
  isAllowedAddress: () => true,
};
const { signal } = new AbortController();
try {
  const { response } = await openUrl(outbound, new URL(process.argv[2] ?? ""), {}, signal);
  console.log(await response.text());
} catch (error) {
  console.log(String(error));
}
