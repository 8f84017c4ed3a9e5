import { expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { download, downloadsFrom } from "../../support/download-fixture.ts";
import { FakeHub, noise, sha256, type HubAnswer, type HubRequest } from "../../support/fake-hub.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const CONTENT = noise(200_000);
const FILE = "o/m/m-Q4_0.gguf";

/** One way to answer a request for bytes; `at` from 0 to 1 says where it goes wrong. */
type Lie = "honest" | "cut" | "busy" | "shifted" | "whole" | "changed" | "flipped" | "refused";
const lies: readonly Lie[] = [
  "honest",
  "cut",
  "busy",
  "shifted",
  "whole",
  "changed",
  "flipped",
  "refused",
];
const move = fc.record({
  lie: fc.constantFrom(...lies),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
});

function lieTo(hub: FakeHub, request: HubRequest, lie: Lie, at: number): HubAnswer {
  const honest = hub.answer(request);
  const body = honest.body ?? new Uint8Array();
  const place = Math.floor(at * Math.max(0, body.length - 1));
  const headers = { ...honest.headers };
  switch (lie) {
    case "honest":
      return honest;
    case "cut":
      return { ...honest, body: body.subarray(0, place), ending: "cut" };
    case "busy":
      return { status: 503, headers: { "content-length": "0", "retry-after": "1" } };
    case "shifted":
      return { ...honest, headers: { ...headers, "content-range": `bytes ${place}-9/200000` } };
    case "whole":
      return hub.answer({ ...request, range: null });
    case "changed":
      return { ...honest, headers: { ...headers, etag: `"${place}"` } };
    case "flipped": {
      const wrong = Uint8Array.from(body);
      if (wrong[place] !== undefined) wrong[place] ^= 1;
      return { ...honest, body: wrong };
    }
    default:
      return { status: 403, headers: { "content-length": "0" } };
  }
}

test("whatever a hub does, the file is right or absent, and an honest hub mends it", async () => {
  await using hub = await FakeHub.start();
  hub.add(FILE, CONTENT);
  using folder = tempFolder();
  const place = join(folder.path, FILE);
  await fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 30 }), async (moves) => {
      rmSync(join(folder.path, "o"), { recursive: true, force: true });
      const left = [...moves];
      hub.misbehave = (request) => {
        const next = request.path.startsWith("/api/") ? undefined : left.shift();
        return next === undefined ? null : lieTo(hub, request, next.lie, next.at);
      };
      const first = await download(downloadsFrom(hub, folder.path).downloads, "o/m");
      if (first.state === "completed") expect(sha256(readFileSync(place))).toBe(sha256(CONTENT));
      else {
        expect(first.failure).not.toBeNull();
        expect(existsSync(place)).toBe(false);
        hub.misbehave = () => null;
        const { downloads } = downloadsFrom(hub, folder.path);
        const second = await download(downloads, "o/m");
        // What the liar slipped in earlier is found by the digest, and then fetched anew.
        const last = second.state === "failed" ? await download(downloads, "o/m") : second;
        expect(last.failure).toBeNull();
      }
      expect(sha256(readFileSync(place))).toBe(sha256(CONTENT));
      expect(readdirSync(join(place, ".."))).toEqual(["m-Q4_0.gguf"]);
    }),
    { numRuns: 100 },
  );
}, 60_000);
