import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { tempFolder } from "../support/temp-folder.ts";

const CHILD = resolve(import.meta.dir, "../support/open-url-child.ts");

/** A key and a certificate for one name, or null where openssl is absent. */
function certificate(folder: string, name: string): { key: string; cert: string } | null {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  if (Bun.which("openssl") === null) return null;
  const made = Bun.spawnSync([
    ..."openssl req -x509 -newkey rsa:2048 -nodes -days 2".split(" "),
    "-keyout",
    key,
    "-out",
    cert,
    "-subj",
    `/CN=${name}`,
    "-addext",
    `subjectAltName=DNS:${name}`,
  ]);
  return made.success ? { key, cert } : null;
}

test("T-E3: a connection to a checked address still proves the host's name", async () => {
  using folder = tempFolder();
  const files = certificate(folder.path, "cdn.test");
  if (files === null) {
    console.warn("openssl is absent, a test is skipped: certificates of checked addresses");
    return;
  }
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { key: readFileSync(files.key), cert: readFileSync(files.cert) },
    fetch: (request) => new Response(`asked ${request.headers.get("host")}`),
  });
  const open = async (host: string): Promise<string> => {
    const child = Bun.spawn([process.execPath, CHILD, `https://${host}:${server.port}/x`], {
      env: { NODE_EXTRA_CA_CERTS: files.cert },
      stdout: "pipe",
      stderr: "inherit",
    });
    return (await new Response(child.stdout).text()).trim();
  };
  expect(await open("cdn.test")).toBe(`asked cdn.test:${server.port}`);
  expect(await open("other.test")).toContain("ERR_TLS_CERT_ALTNAME_INVALID");
});
