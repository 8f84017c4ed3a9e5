import { networkInterfaces } from "node:os";

/**
 * Addresses of this machine that others can reach; none where the system does not tell, as in a
 * service that may not open netlink sockets. They are only shown.
 */
export function interfaceAddresses(
  families: readonly string[],
  read: typeof networkInterfaces = networkInterfaces,
): string[] {
  let all: ReturnType<typeof networkInterfaces>;
  try {
    all = read();
  } catch {
    return [];
  }
  return Object.values(all)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal, address }) => {
      const isLinkLocal = address.toLowerCase().startsWith("fe80");
      return !internal && !isLinkLocal && families.includes(family);
    })
    .map(({ address }) => address);
}
