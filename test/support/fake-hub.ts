import { createHash } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface HubRequest {
  method: string;
  /** With query. */
  path: string;
  headers: ReadonlyMap<string, string>;
  /** End exclusive; null = no `Range`. */
  range: { start: number; end: number } | null;
  /** From 1: which request for this path it is. */
  nth: number;
}

/** What goes over the wire, exactly: nothing is completed or mended. */
export interface HubAnswer {
  status: number;
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array;
  /** `cut` ends the connection, `hang` keeps it open, `endless` repeats the body until it breaks. */
  ending?: "cut" | "hang" | "endless";
}

export interface HubFileFixture {
  content: Uint8Array;
  /** What the listing says; null = no LFS entry. Default: the truth. */
  sha256?: string | null;
  etag?: string | null;
}

/** null = the honest answer. May wait. */
export type Misbehaviour = (request: HubRequest) => HubAnswer | null | Promise<HubAnswer | null>;

/** A hub on a local port that speaks the API of Hugging Face, and lies when a test says so. */
export class FakeHub implements AsyncDisposable {
  readonly url: string;
  readonly requests: HubRequest[] = [];
  /** By `owner/repo/path`. */
  readonly files = new Map<string, HubFileFixture>();
  misbehave: Misbehaviour = () => null;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();

  private constructor(server: Server) {
    this.#server = server;
    const { address, port } = server.address() as AddressInfo;
    this.url = `http://${address}:${port}`;
    server.on("connection", (socket) => this.#serve(socket));
  }

  static async start(host = "127.0.0.1"): Promise<FakeHub> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return new FakeHub(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  add(path: string, content: Uint8Array, facts: Omit<HubFileFixture, "content"> = {}): void {
    this.files.set(path, { content, ...facts });
  }

  /** The honest answer. */
  answer({ path, range }: HubRequest): HubAnswer {
    const { pathname } = new URL(path, this.url);
    const listing = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/main$/.exec(pathname);
    if (listing?.[1] !== undefined) return this.#listing(`${listing[1]}/`);
    const file = this.files.get(decodeURIComponent(pathname.slice(1).replace("/resolve/main", "")));
    if (file === undefined) return { status: 404, headers: { "content-length": "0" } };
    const { content } = file;
    const etag = file.etag === undefined ? `"${sha256(content).slice(0, 16)}"` : file.etag;
    const named = etag === null ? {} : { etag };
    if (range === null)
      return {
        status: 200,
        headers: { ...named, "content-length": String(content.length) },
        body: content,
      };
    const end = Math.min(range.end, content.length);
    return {
      status: 206,
      headers: {
        ...named,
        "content-length": String(end - range.start),
        "content-range": `bytes ${range.start}-${end - 1}/${content.length}`,
      },
      body: content.subarray(range.start, end),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #listing(prefix: string): HubAnswer {
    const entries = [...this.files].filter(([path]) => path.startsWith(prefix));
    if (entries.length === 0) return { status: 404, headers: { "content-length": "0" } };
    const tree = entries.map(([path, { content, sha256: oid }]) => ({
      type: "file",
      path: path.slice(prefix.length),
      size: content.length,
      oid: "0".repeat(40),
      ...(oid === null ? {} : { lfs: { oid: oid ?? sha256(content), size: content.length } }),
    }));
    return jsonAnswer(tree);
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let received = "";
    let turn = Promise.resolve();
    socket.on("data", (bytes) => {
      received += bytes.toString("latin1");
      for (let at = received.indexOf("\r\n\r\n"); at !== -1; at = received.indexOf("\r\n\r\n")) {
        const request = this.#read(received.slice(0, at));
        received = received.slice(at + 4);
        turn = turn.then(() => this.#reply(socket, request));
      }
    });
  }

  #read(head: string): HubRequest {
    const [line = "", ...lines] = head.split("\r\n");
    const [method = "", path = ""] = line.split(" ");
    const headers = new Map(
      lines.map((text): [string, string] => {
        const at = text.indexOf(":");
        return [text.slice(0, at).toLowerCase(), text.slice(at + 1).trim()];
      }),
    );
    const match = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "");
    const nth = (this.#counts.get(path) ?? 0) + 1;
    this.#counts.set(path, nth);
    const range = match === null ? null : { start: Number(match[1]), end: Number(match[2]) + 1 };
    const request = { method, path, headers, range, nth };
    this.requests.push(request);
    return request;
  }

  async #reply(socket: Socket, request: HubRequest): Promise<void> {
    const answer = (await this.misbehave(request)) ?? this.answer(request);
    const { status, headers = {}, body = new Uint8Array(), ending } = answer;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${status} x\r\n${lines.join("")}\r\n`);
    if (ending === "endless") {
      const more = (): boolean => !socket.destroyed && socket.write(body);
      socket.on("drain", () => writeWhile(more));
      writeWhile(more);
      return;
    }
    await new Promise<void>((resolve) => {
      socket.write(body, () => resolve());
      if (socket.destroyed) resolve();
    });
    if (ending === "cut") socket.destroySoon();
  }
}

function writeWhile(more: () => boolean): void {
  while (more());
}

export function jsonAnswer(value: unknown): HubAnswer {
  const body = Buffer.from(JSON.stringify(value));
  return {
    status: 200,
    headers: { "content-type": "application/json", "content-length": String(body.length) },
    body,
  };
}

export const sha256 = (content: Uint8Array): string =>
  createHash("sha256").update(content).digest("hex");

/** Bytes that differ everywhere, the same for the same seed. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
