import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chooseFiles } from "../../../src/catalog/download/choose-files.ts";
import { isSafePath, parseSource } from "../../../src/catalog/download/model-source.ts";
import { openUrl, outboundOf, type Outbound } from "../../../src/catalog/download/open-url.ts";
import { isPublicAddress } from "../../../src/catalog/download/public-address.ts";
import { probeUrl } from "../../../src/catalog/download/probe-url.ts";
import { routeTo } from "../../../src/catalog/download/proxy.ts";
import { download, downloadsFrom } from "../../support/download-fixture.ts";
import { FakeHub, jsonAnswer, noise, sha256, type HubAnswer } from "../../support/fake-hub.ts";
import { tempFolder } from "../../support/temp-folder.ts";

/** Loopback addresses beyond 127.0.0.1 exist on Linux only; there they stand in for other hosts. */
const OTHER_HOST = "127.0.0.2";
const onLinux = test.skipIf(process.platform !== "linux");

const CONTENT = noise(200_000);
const FILE = "org/m-GGUF/m-Q4_K_M.gguf";
const messageOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it worked",
    (error: Error) => error.message,
  );

const privateUrls = [
  ..."127.0.0.1 127.1 0x7f000001 2130706433 017700000001 ①②⑦.0.0.1 0.0.0.0 0 localhost".split(" "),
  ..."localhost. a.localhost 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254".split(" "),
  ..."169.254.169.254 0xa9fea9fe 172.16.0.1 172.31.255.255 192.168.0.1 192.0.0.1".split(" "),
  ..."192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.7 203.0.113.5 224.0.0.1 240.0.0.1".split(" "),
  ..."255.255.255.255 [::] [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1]".split(" "),
  ..."[fe80::1] [fc00::1] [fd12:3456::1] [ff02::1] [2001:db8::1] [2001::1]".split(" "),
  ..."[2002:7f00:1::] [64:ff9b::7f00:1] [64:ff9b::a00:1] [64:ff9b:1::1] [100::1]".split(" "),
].map((host) => `https://${host}/x`);

const otherUrls = [
  ..."file:///etc/passwd ftp://hub.test/x data:,x gopher://hub.test/ http://hub.test/x".split(" "),
  ..."https://user:pw@hub.test/x https://user@hub.test/ ws://hub.test/ javascript:1 blob:x".split(
    " ",
  ),
];

const strict: Outbound = {
  ...outboundOf({ HF_ENDPOINT: "https://hub.invalid" }),
  lookup: () => Promise.resolve(["127.0.0.1"]),
};

const { signal: never } = new AbortController();

test.each(privateUrls)("T-E3: %s is not asked for anything", async (url) => {
  expect(await messageOf(openUrl(strict, new URL(url), {}, never))).toContain("not a public one");
});

test.each(otherUrls)("T-E3: %s is no URL to follow", async (url) => {
  const trusting = { ...strict, isAllowedAddress: () => true };
  expect(await messageOf(openUrl(trusting, new URL(url), {}, never))).toContain("not allowed");
});

test("T-E3: a proxy is not asked for addresses of this machine or its network", async () => {
  await using proxy = await FakeHub.start();
  const outbound = { ...strict, env: { https_proxy: proxy.url } };
  for (const host of ["localhost", "a.localhost.", "127.1", "[::1]", "169.254.169.254"]) {
    const url = new URL(`https://${host}/x`);
    expect(await messageOf(openUrl(outbound, url, {}, never))).toContain("not a public one");
  }
  expect(proxy.requests).toEqual([]);
});

test("T-E3: addresses of the public internet pass", () => {
  const addresses = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "64:ff9b::101:101"];
  expect(addresses.filter((address) => !isPublicAddress(address))).toEqual([]);
  expect(["", "x", "1.2.3", "::ffff:8.8.8.8"].filter(isPublicAddress)).toEqual([]);
});

onLinux("T-E3: a resolver that alternates reaches only the address that was checked", async () => {
  await using good = await FakeHub.start(OTHER_HOST);
  await using victim = await FakeHub.start();
  let asked = 0;
  const outbound: Outbound = {
    ...outboundOf({ HF_ENDPOINT: "http://hub.invalid" }),
    lookup: () => Promise.resolve([(asked += 1) % 2 === 1 ? OTHER_HOST : "127.0.0.1"]),
    isAllowedAddress: (address) => address === OTHER_HOST,
  };
  good.misbehave = () => jsonAnswer("good");
  const url = new URL(`http://cdn.test:${good.port}/x`);
  const { signal } = new AbortController();
  const { response } = await openUrl(outbound, url, {}, signal);
  expect(await response.text()).toBe('"good"');
  expect(good.requests[0]?.headers.get("host")).toBe(`cdn.test:${good.port}`);
  expect(await messageOf(openUrl(outbound, url, {}, signal))).toContain("not a public one");
  expect(victim.requests).toHaveLength(0);
});

test("T-E3: a hub that redirects into the private network reaches nobody", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  await using victim = await FakeHub.start();
  hub.add(FILE, CONTENT);
  hub.misbehave = ({ path }) =>
    path.startsWith("/api/")
      ? null
      : { status: 302, headers: { location: `${victim.url}/x`, "content-length": "0" } };
  const { downloads } = downloadsFrom(hub, folder.path);
  expect((await download(downloads, "org/m-GGUF")).failure).toContain("not a public one");
  expect(victim.requests).toHaveLength(0);
});

onLinux("T-E4: the token goes to the hub and not to the host it redirects to", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  await using cdn = await FakeHub.start(OTHER_HOST);
  hub.add(FILE, CONTENT);
  cdn.add(FILE, CONTENT);
  hub.misbehave = ({ path }) =>
    path.startsWith("/api/")
      ? null
      : {
          status: 302,
          headers: { location: `http://cdn.test:${cdn.port}${path}`, "content-length": "0" },
        };
  const { downloads } = downloadsFrom(hub, folder.path, {
    outbound: {
      token: "hf_secret",
      lookup: () => Promise.resolve([OTHER_HOST]),
      isAllowedAddress: (address) => address === OTHER_HOST,
    },
  });
  expect((await download(downloads, "org/m-GGUF")).state).toBe("completed");
  const tokens = (server: FakeHub) =>
    new Set(server.requests.map(({ headers }) => headers.get("authorization") ?? "none"));
  expect(tokens(hub)).toEqual(new Set(["Bearer hf_secret"]));
  expect(tokens(cdn)).toEqual(new Set(["none"]));
  expect(
    [...hub.requests, ...cdn.requests].map(({ headers }) => headers.get("accept-encoding")),
  ).toEqual(Array.from({ length: hub.requests.length + cdn.requests.length }, () => "identity"));
});

test("a redirect loop ends after five hops", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add(FILE, CONTENT);
  hub.misbehave = ({ path }) =>
    path.startsWith("/api/")
      ? null
      : { status: 307, headers: { location: path, "content-length": "0" } };
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { connections: 1 } });
  expect((await download(downloads, "org/m-GGUF")).failure).toContain("more than 5 times");
  expect(hub.requests.filter(({ path }) => !path.startsWith("/api/"))).toHaveLength(6);
});

const hostileNames = [
  ..."../../.bashrc.gguf /etc/x.gguf a\\..\\b.gguf C:x.gguf .ssh/x.gguf x.gguf. a/../b.gguf".split(
    " ",
  ),
  ..."-rf.gguf a//b.gguf ./a.gguf a/b/c/d.gguf ünïcode.gguf con|x.gguf".split(" "),
  "a\0b.gguf",
  `${"a".repeat(300)}.gguf`,
];

test.each(hostileNames)("T-E1: a hub's file %j is never written", async (name) => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.misbehave = ({ path }) =>
    path.startsWith("/api/") ? jsonAnswer([{ type: "file", path: name, size: 4 }]) : null;
  const { downloads } = downloadsFrom(hub, join(folder.path, "models"));
  expect(isSafePath(name)).toBe(false);
  expect(await messageOf(download(downloads, "org/m-GGUF"))).toMatch(/usable name|no GGUF/);
  expect(readdirSync(folder.path)).toEqual([]);
});

test("T-E1: a link in the file's place is neither followed nor replaced", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add(FILE, CONTENT);
  const victim = join(folder.path, "victim");
  writeFileSync(victim, "mine");
  const models = join(folder.path, "models");
  mkdirSync(join(models, "org/m-GGUF"), { recursive: true });
  const { downloads } = downloadsFrom(hub, models);
  symlinkSync(victim, join(models, FILE));
  expect(await messageOf(download(downloads, "org/m-GGUF"))).toContain("no plain file");
  symlinkSync(victim, join(models, "org/m-GGUF/n-Q4_0.gguf.part"));
  hub.add("org/m-GGUF/n-Q4_0.gguf", CONTENT);
  expect((await download(downloads, "org/m-GGUF", "q4_0")).state).toBe("completed");
  expect(readFileSync(victim, "utf8")).toBe("mine");
});

const badModels = [
  "../x",
  "a/../b",
  "a",
  "a/b/c",
  "a/b@../x",
  "a/b@",
  "/a/b",
  "http://huggingface.co/a/b",
  "https://evil.example/a/b",
  "https://evil.example/a/b.gguf",
  "https://huggingface.co.evil.example/a/b",
  "https://user@huggingface.co/a/b",
  "https://huggingface.co/a/b/resolve/main/../../x.gguf",
  "https://huggingface.co/a/%2e%2e%2fb",
  "file:///etc/passwd",
  "hf:a/b/c.txt",
  "x".repeat(2_000),
];

test.each(badModels)("T-E1: %s is not a model", (model) => {
  const endpoint = new URL("https://huggingface.co");
  expect(() => parseSource(model, endpoint, false)).toThrow();
});

const goodModels: [string, object][] = [
  ["a/b", { owner: "a", repo: "b", quantization: null, file: null }],
  ["a/b@q4_k_m", { quantization: "Q4_K_M" }],
  ["hf:a/b:Q8_0", { quantization: "Q8_0" }],
  ["hf:a/b/sub/c.gguf", { file: "sub/c.gguf" }],
  ["https://huggingface.co/a/b", { owner: "a", repo: "b" }],
  ["https://huggingface.co/a/b@q4_0", { quantization: "Q4_0" }],
  ["https://huggingface.co/a/b/tree/main", { file: null }],
  ["https://huggingface.co/a/b/blob/main/c.gguf?download=true", { file: "c.gguf" }],
  ["https://mirror.example/x/Nice-7B-Q4_0.gguf", { owner: "mirror.example", repo: "Nice-7B" }],
];

test.each(goodModels)("%s is a model", (model, expected) => {
  expect(parseSource(model, new URL("https://huggingface.co"), true)).toMatchObject(expected);
});

const choices: { name: string; files: string; quantization: string | null; chosen: string }[] = [
  {
    name: "the usual balance when nothing is named",
    files: "m-F16.gguf m-Q8_0.gguf m-Q4_K_M.gguf m-Q2_K.gguf",
    quantization: null,
    chosen: "m-Q4_K_M.gguf",
  },
  {
    name: "what is nearest to it otherwise",
    files: "m-F16.gguf m-Q8_0.gguf m-Q5_K_M.gguf m-Q2_K.gguf",
    quantization: null,
    chosen: "m-Q5_K_M.gguf",
  },
  {
    name: "the only file, whatever its name",
    files: "weights.gguf x.md",
    quantization: null,
    chosen: "weights.gguf",
  },
  {
    name: "every shard, in order",
    files: "Q8_0/m-Q8_0-00002-of-00002.gguf Q8_0/m-Q8_0-00001-of-00002.gguf m-Q4_0.gguf",
    quantization: "Q8_0",
    chosen: "Q8_0/m-Q8_0-00001-of-00002.gguf Q8_0/m-Q8_0-00002-of-00002.gguf",
  },
  {
    name: "the projector in half precision beside it",
    files: "m-Q4_K_M.gguf mmproj-F32.gguf mmproj-F16.gguf m.imatrix.gguf",
    quantization: null,
    chosen: "m-Q4_K_M.gguf mmproj-F16.gguf",
  },
];

test.each(choices)("a download chooses $name", ({ files, quantization, chosen }) => {
  const listing = files.split(" ").map((path) => ({ path, sizeBytes: 10, sha256: null }));
  const source = { kind: "hub", owner: "a", repo: "b", quantization, file: null } as const;
  expect(
    chooseFiles(listing, source)
      .files.map(({ path }) => path)
      .join(" "),
  ).toBe(chosen);
});

test("a quantisation that is not there is refused with those that are", () => {
  const listing = ["m-Q8_0.gguf", "m-Q4_0.gguf"].map((path) => ({
    path,
    sizeBytes: 1,
    sha256: null,
  }));
  const source = { kind: "hub", owner: "a", repo: "b", quantization: "Q9", file: null } as const;
  expect(() => chooseFiles(listing, source)).toThrow("It has Q4_0, Q8_0.");
});

const pairs: { model: string; quantization: string; agrees: boolean }[] = [
  { model: "o/m@Q4_0", quantization: "q4_0", agrees: true },
  { model: "o/m@Q4_0", quantization: "Q8_0", agrees: false },
  { model: "o/m/m-Q8_0.gguf", quantization: "Q8_0", agrees: true },
  { model: "o/m/m-Q8_0.gguf", quantization: "Q4_0", agrees: false },
  {
    model: "HUB/o/m/resolve/main/sub/m-Q8_0-00001-of-00002.gguf",
    quantization: "Q4_0",
    agrees: false,
  },
  { model: "o/m/plain.gguf", quantization: "Q4_0", agrees: false },
];
test.each(pairs)("a name and a quantization that differ: $model, $quantization", async (row) => {
  await using hub = await FakeHub.start();
  using folder = tempFolder();
  for (const path of ["m-Q8_0.gguf", "m-Q4_0.gguf", "plain.gguf"]) {
    hub.files.set(`o/m/${path}`, { content: noise(100) });
  }
  const { downloads } = downloadsFrom(hub, folder.path);
  const model = row.model.replace("HUB", hub.url);
  const end = await download(downloads, model, row.quantization).catch((reason: unknown) => reason);
  if (row.agrees) expect(end).toMatchObject({ state: "completed" });
  else {
    const details = { param: "quantization", reason: "invalid_value" };
    expect(end).toMatchObject({ code: "invalid_request", details });
    expect(hub.requests).toEqual([]);
  }
  await downloads.close();
});

test.each([
  ["a listing that is too large", () => jsonAnswer(["x".repeat(9 * 2 ** 20)]), /8 MiB/],
  [
    "spaces without end",
    () => ({ status: 200, body: Buffer.alloc(2 ** 16, " "), ending: "endless" as const }),
    /8 MiB/,
  ],
  [
    "brackets without end",
    () => ({ status: 200, body: Buffer.alloc(2 ** 20, "["), ending: "cut" as const }),
    /nested too deep/,
  ],
  [
    "a page of HTML",
    () => ({ status: 200, body: Buffer.from("<html>"), ending: "cut" as const }),
    /not what a hub/,
  ],
  ["other shapes", () => jsonAnswer([{ type: "file", path: 5 }]), /not what a hub/],
  ["401", () => ({ status: 401, headers: { "content-length": "0" } }), /set HF_TOKEN/],
  ["404", () => ({ status: 404, headers: { "content-length": "0" } }), /no repository/],
  ["500 again and again", () => ({ status: 500, headers: { "content-length": "0" } }), /500/],
] as const)(
  "a hub that answers the listing with %s fails the start",
  async (_, answer, message) => {
    using folder = tempFolder();
    await using hub = await FakeHub.start();
    hub.misbehave = answer;
    const { downloads } = downloadsFrom(hub, folder.path);
    expect(await messageOf(download(downloads, "org/m-GGUF"))).toMatch(message);
  },
);

test("nobody listening is said so", async () => {
  using folder = tempFolder();
  const hub = await FakeHub.start();
  await hub[Symbol.asyncDispose]();
  const { downloads } = downloadsFrom(hub, folder.path);
  expect(await messageOf(download(downloads, "org/m-GGUF"))).toContain("cannot be reached");
});

test.each([
  ["https://a.test/", { HTTPS_PROXY: "http://p:1" }, { kind: "proxy", proxy: "http://p:1" }],
  ["http://a.test/", { HTTPS_PROXY: "http://p:1" }, { kind: "direct" }],
  ["https://a.test/", { HTTPS_PROXY: "http://p:1", NO_PROXY: "x, .test" }, { kind: "exempt" }],
  [
    "https://a.test/",
    { https_proxy: "http://p:1", no_proxy: "a.test:80" },
    { kind: "proxy", proxy: "http://p:1" },
  ],
  ["https://a.test/", { ALL_PROXY: "http://p:1", no_proxy: "*" }, { kind: "exempt" }],
  [
    "https://notest/",
    { ALL_PROXY: "http://p:1", no_proxy: "test" },
    { kind: "proxy", proxy: "http://p:1" },
  ],
] as const)("the way to %s with %j", (url, env, expected) => {
  expect(routeTo(new URL(url), env)).toEqual(expected);
});

test("a proxy carries the download", async () => {
  using folder = tempFolder();
  await using proxy = await FakeHub.start();
  proxy.add(FILE, CONTENT);
  const { downloads } = downloadsFrom(proxy, folder.path, {
    outbound: {
      endpoint: new URL("http://hub.invalid"),
      env: { http_proxy: proxy.url },
    },
  });
  expect((await download(downloads, "org/m-GGUF")).state).toBe("completed");
  expect(sha256(readFileSync(join(folder.path, FILE)))).toBe(sha256(CONTENT));
  expect(proxy.requests[0]?.path).toStartWith("http://hub.invalid/");
});

const probes: { name: string; answer: HubAnswer; expected: number | RegExp }[] = [
  {
    name: "a range",
    answer: { status: 206, headers: { "content-range": "bytes 0-0/77", "content-length": "1" } },
    expected: 77,
  },
  {
    name: "the whole file",
    answer: { status: 200, headers: { "content-length": "9" } },
    expected: 9,
  },
  { name: "no length", answer: { status: 200, ending: "cut" }, expected: /how large/ },
  {
    name: "another range",
    answer: { status: 206, headers: { "content-range": "bytes 5-5/77", "content-length": "1" } },
    expected: /how large/,
  },
  { name: "404", answer: { status: 404, headers: { "content-length": "0" } }, expected: /404/ },
  { name: "503", answer: { status: 503, headers: { "content-length": "0" } }, expected: /503/ },
];

onLinux.each(probes)(
  "a file outside of hubs that answers with $name",
  async ({ answer, expected }) => {
    await using host = await FakeHub.start(OTHER_HOST);
    host.misbehave = () => answer;
    const outbound: Outbound = {
      ...outboundOf({ HF_ENDPOINT: "http://hub.invalid", HF_TOKEN: "hf_secret" }),
      lookup: () => Promise.resolve([OTHER_HOST]),
      isAllowedAddress: (address) => address === OTHER_HOST,
    };
    const source = { url: new URL(`http://files.test:${host.port}/m.gguf`), file: "m.gguf" };
    const probe = probeUrl(outbound, source, 0, never);
    if (typeof expected === "number")
      expect(await probe).toEqual({ path: "m.gguf", sizeBytes: expected, sha256: null });
    else expect(await messageOf(probe)).toMatch(expected);
    expect(host.requests[0]?.headers.has("authorization")).toBe(false);
  },
);
