import { BlockList, isIP } from "node:net";

/** Networks that are not the public internet. Source: IANA special-purpose registry, RFC 6890. */
const PRIVATE_V4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];

/** Inside 2000::/3, which is all that is public. Teredo and 6to4 carry IPv4 addresses of any kind. */
const PRIVATE_V6: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

/** Addresses of IPv4 hosts as networks with IPv6 only see them (RFC 6052). */
const TRANSLATED = "64:ff9b::";
const TRANSLATED_BITS = 96;

const refused = new BlockList();
for (const [network, bits] of PRIVATE_V4) {
  refused.addSubnet(network, bits, "ipv4");
  refused.addSubnet(TRANSLATED + network, TRANSLATED_BITS + bits, "ipv6");
}
for (const [network, bits] of PRIVATE_V6) refused.addSubnet(network, bits, "ipv6");

const publicV6 = new BlockList();
publicV6.addSubnet("2000::", 3, "ipv6");
publicV6.addSubnet(TRANSLATED, TRANSLATED_BITS, "ipv6");

/** Whether an IP address, as a resolver writes it, belongs to the public internet. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !refused.check(address, "ipv4");
    case 6:
      return publicV6.check(address, "ipv6") && !refused.check(address, "ipv6");
    default:
      return false;
  }
}
