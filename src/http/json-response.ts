interface Init {
  status?: number;
  headers?: Readonly<Record<string, string>>;
}

/** A complete body with its length, so that the access log can name it. */
export function wholeResponse(
  body: string | Uint8Array<ArrayBuffer>,
  type: string,
  { status = 200, headers = {} }: Init = {},
): Response {
  const length = String(Buffer.byteLength(body));
  return new Response(body, {
    status,
    headers: { "content-type": type, "content-length": length, ...headers },
  });
}

export function jsonResponse(value: unknown, init: Init = {}): Response {
  return wholeResponse(JSON.stringify(value), "application/json", init);
}
