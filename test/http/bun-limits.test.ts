import { afterAll, expect, test } from "bun:test";
import { connect } from "node:net";

/**
 * What Bun's HTTP layer refuses before a route hears of it. docs/ARCHITECTURE.md tells these as limits:
 * a version of Bun that fails a test here has one less, and that text changes.
 */

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  reusePort: false,
  fetch: async (request) => {
    await request.text();
    return await new Promise<never>(() => undefined);
  },
});
afterAll(() => server.stop(true));

/** All that comes until the server closes the connection. */
async function received(bytes: string): Promise<string> {
  const socket = connect(server.port ?? 0, "127.0.0.1");
  let text = "";
  socket.on("data", (data) => (text += data.toString("latin1")));
  socket.write(bytes);
  await new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("error", () => resolve());
  });
  return text;
}

const HEAD = "POST / HTTP/1.1\r\nhost: localhost\r\n";
const WHOLE = `${HEAD}content-length: 2\r\n\r\n{}`;
const NEXT = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const REFUSED = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

test.each([
  { name: "a line end behind a body", bytes: `${WHOLE}\r\n` },
  { name: "a line end in front of a request", bytes: `\r\n${NEXT}` },
  {
    name: "trailers of a chunked body",
    bytes: `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-sum: 1\r\n\r\n`,
  },
])("$name is refused without a body", async ({ bytes }) => {
  expect(await received(bytes)).toBe(REFUSED);
});

test("a request that comes before the answer of the one in front closes the connection", async () => {
  expect(await received(WHOLE + NEXT)).toBe("");
});
