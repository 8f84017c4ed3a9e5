import { expect, test } from "bun:test";
import type { NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { interfaceAddresses } from "../../../src/cli/interface-addresses.ts";

const info = (address: string, internal = false): NetworkInterfaceInfo => {
  const common = { address, internal, netmask: "", mac: "", cidr: null };
  return address.includes(":")
    ? { ...common, family: "IPv6", scopeid: 0 }
    : { ...common, family: "IPv4" };
};

test("addresses that others reach are those beyond the machine and its link", () => {
  const read: typeof networkInterfaces = () => ({
    lo: [info("127.0.0.1", true)],
    eth0: [info("192.0.2.1"), info("fe80::1"), info("2001:db8::1")],
  });
  expect(interfaceAddresses(["IPv4"], read)).toEqual(["192.0.2.1"]);
  expect(interfaceAddresses(["IPv4", "IPv6"], read)).toEqual(["192.0.2.1", "2001:db8::1"]);
});

test("a system that does not tell its addresses keeps no server from listening", () => {
  const read: typeof networkInterfaces = () => {
    throw Object.assign(new Error("uv_interface_addresses returned an error"), {
      code: "EAFNOSUPPORT",
    });
  };
  expect(interfaceAddresses(["IPv4"], read)).toEqual([]);
});
