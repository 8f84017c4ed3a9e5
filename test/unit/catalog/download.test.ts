import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { download, downloadsFrom } from "../../support/download-fixture.ts";
import {
  FakeHub,
  noise,
  sha256,
  type HubRequest,
  type Misbehaviour,
} from "../../support/fake-hub.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const CONTENT = noise(500_000);
const FILE = "org/m-GGUF/m-Q4_K_M.gguf";

/** Only file requests misbehave, the first `times` of them. */
function firstTimes(
  times: number,
  lie: (request: HubRequest, hub: FakeHub) => ReturnType<Misbehaviour>,
) {
  let left = times;
  return (hub: FakeHub): Misbehaviour =>
    (request) =>
      request.path.startsWith("/api/") || left-- <= 0 ? null : lie(request, hub);
}

const always = Number.POSITIVE_INFINITY;

interface Case {
  name: string;
  misbehave: (hub: FakeHub) => Misbehaviour;
  /** Words of the failure; null = the download succeeds all the same. */
  failure: RegExp | null;
  facts?: { sha256?: string | null; etag?: string | null };
  /** Waits between tries that must be among those made. */
  waits?: number[];
}

const cases: Case[] = [
  { name: "an honest hub", misbehave: () => () => null, failure: null },
  {
    name: "connections cut in the middle of a range",
    misbehave: firstTimes(6, (request, hub) => {
      const answer = hub.answer(request);
      return { ...answer, body: answer.body!.subarray(0, 10_000), ending: "cut" };
    }),
    failure: null,
  },
  {
    name: "connections cut before the first byte of each answer, again and again",
    misbehave: firstTimes(always, (request, hub) => ({
      ...hub.answer(request),
      body: new Uint8Array(),
      ending: "cut",
    })),
    failure: /broke|early/,
  },
  {
    name: "T-E5 the wrong range, sometimes",
    misbehave: firstTimes(3, (request, hub) =>
      hub.answer({
        ...request,
        range: { start: request.range!.start + 1, end: request.range!.end },
      }),
    ),
    failure: null,
  },
  {
    name: "T-E5 the wrong range, always",
    misbehave: firstTimes(always, (request, hub) => {
      const { headers, ...answer } = hub.answer(request);
      return { ...answer, headers: { ...headers, "content-range": `bytes 0-9/${CONTENT.length}` } };
    }),
    failure: /another range/,
  },
  {
    name: "T-E5 the size of another file in Content-Range",
    misbehave: firstTimes(always, (request, hub) => {
      const { headers, ...answer } = hub.answer(request);
      const range = headers!["content-range"]!.replace(/\/\d+/, "/77");
      return { ...answer, headers: { ...headers, "content-range": range } };
    }),
    failure: /another size/,
  },
  {
    name: "T-E5 whole files for every range",
    misbehave: firstTimes(always, (request, hub) => hub.answer({ ...request, range: null })),
    failure: null,
  },
  {
    name: "T-E5 whole files only, and cut once",
    misbehave: (hub) => (request) => {
      if (request.path.startsWith("/api/")) return null;
      const answer = hub.answer({ ...request, range: null });
      const isFirst = request.range === null && hub.requests.filter(isWholeFile).length === 1;
      return isFirst
        ? { ...answer, body: answer.body!.subarray(0, 99_999), ending: "cut" }
        : answer;
    },
    failure: null,
  },
  {
    name: "T-E5 an ETag that changes once: everything is fetched anew",
    misbehave: firstTimes(2, (request, hub) => {
      const { headers, ...answer } = hub.answer(request);
      return {
        ...answer,
        headers: { ...headers, etag: '"older"' },
        body: noise(answer.body!.length, 9),
      };
    }),
    failure: null,
  },
  {
    name: "T-E5 an ETag that never rests",
    misbehave: firstTimes(always, (request, hub) => {
      const { headers, ...answer } = hub.answer(request);
      return { ...answer, headers: { ...headers, etag: `"${hub.requests.length}"` } };
    }),
    failure: /changed/,
  },
  {
    name: "T-E5 an endless body without a length",
    misbehave: firstTimes(always, (request, hub) => ({
      status: 206,
      headers: { "content-range": hub.answer(request).headers!["content-range"]! },
      body: noise(70_000),
      ending: "endless",
    })),
    failure: /more than it announced/,
  },
  {
    name: "T-E5 a compressed body",
    misbehave: firstTimes(always, (request, hub) => {
      const { headers, ...answer } = hub.answer(request);
      return { ...answer, headers: { ...headers, "content-encoding": "gzip" } };
    }),
    failure: /gzip/,
  },
  {
    name: "T-E6 one bit flipped",
    misbehave: firstTimes(1, (request, hub) => {
      const answer = hub.answer(request);
      const body = Uint8Array.from(answer.body!);
      body[5] = body[5]! ^ 1;
      return { ...answer, body };
    }),
    failure: /not the one the hub describes/,
  },
  {
    name: "T-E6 a digest of another file",
    misbehave: () => () => null,
    facts: { sha256: sha256(noise(10)) },
    failure: /not the one the hub describes/,
  },
  {
    name: "T-E2 a digest that is a path",
    misbehave: () => () => null,
    facts: { sha256: `../../${"a".repeat(58)}` },
    failure: /digest that is none/,
  },
  {
    name: "no digest and no ETag at all",
    misbehave: () => () => null,
    facts: { sha256: null, etag: null },
    failure: null,
  },
  {
    name: "429 with Retry-After in seconds",
    misbehave: firstTimes(1, () => ({
      status: 429,
      headers: { "retry-after": "7", "content-length": "0" },
    })),
    failure: null,
    waits: [7_000],
  },
  {
    name: "503 without Retry-After: waits double",
    misbehave: (hub) => (request) =>
      request.range?.start === 0 &&
      hub.requests.filter(({ range }) => range?.start === 0).length < 4
        ? { status: 503, headers: { "content-length": "0" } }
        : null,
    failure: null,
    waits: [250, 500, 1_000],
  },
  {
    name: "429 that asks for an hour",
    misbehave: firstTimes(always, () => ({
      status: 429,
      headers: { "retry-after": "3600", "content-length": "0" },
    })),
    failure: /429/,
  },
  {
    name: "a closed file",
    misbehave: firstTimes(always, () => ({ status: 403, headers: { "content-length": "0" } })),
    failure: /refuses/,
  },
];

const isWholeFile = ({ path, range }: HubRequest): boolean =>
  !path.startsWith("/api/") && range === null;

test.each(cases)("download: $name", async ({ misbehave, failure, facts = {}, waits = [] }) => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add(FILE, CONTENT, facts);
  hub.misbehave = misbehave(hub);
  const { downloads, waits: made } = downloadsFrom(hub, folder.path);
  const end = await download(downloads, "org/m-GGUF").catch((error: Error) => error);
  const text = end instanceof Error ? end.message : end.failure;
  const path = join(folder.path, FILE);
  if (failure === null) {
    expect(text).toBeNull();
    expect(sha256(readFileSync(path))).toBe(sha256(CONTENT));
    expect(readdirSync(join(path, ".."))).toEqual(["m-Q4_K_M.gguf"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  } else {
    expect(text).toMatch(failure);
    expect(readdirSync(folder.path, { recursive: true })).not.toContain(FILE);
    expect(text).not.toContain(folder.path);
  }
  for (const wait of waits) expect(made).toContain(wait);
  expect(Math.max(0, ...made)).toBeLessThanOrEqual(600_000);
});

test("a file with a wrong digest leaves nothing behind", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add(FILE, CONTENT, { sha256: sha256(noise(3)) });
  const { downloads } = downloadsFrom(hub, folder.path);
  expect((await download(downloads, "org/m-GGUF")).state).toBe("failed");
  expect(readdirSync(join(folder.path, "org/m-GGUF"))).toEqual([]);
});

test("a connection that falls silent is given up and the range asked for again", async () => {
  using folder = tempFolder();
  await using hub = await FakeHub.start();
  hub.add(FILE, CONTENT);
  const clock = new ManualClock();
  const silent = Promise.withResolvers<void>();
  hub.misbehave = (request) => {
    if (request.range?.start !== 0 || request.nth > 4) return null;
    const answer = hub.answer(request);
    silent.resolve();
    return { ...answer, body: answer.body!.subarray(0, 1_000), ending: "hang" };
  };
  const { downloads } = downloadsFrom(hub, folder.path, { tools: { clock, stallMs: 30_000 } });
  const end = download(downloads, "org/m-GGUF");
  await silent.promise;
  const isEnded = { value: false };
  void end.then(() => (isEnded.value = true));
  while (!isEnded.value) {
    // Slow enough that a busy machine does not take what only waits for it for silent.
    clock.advance(1_000);
    await Bun.sleep(4);
  }
  expect((await end).state).toBe("completed");
  expect(sha256(readFileSync(join(folder.path, FILE)))).toBe(sha256(CONTENT));
});
