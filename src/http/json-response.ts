/** A value as JSON with its length, so that the access log can name it. */
export function jsonResponse(
  value: unknown,
  init: { status?: number; headers?: Readonly<Record<string, string>> } = {},
): Response {
  const text = JSON.stringify(value);
  return new Response(text, {
    status: init.status ?? 200,
    headers: {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(text)),
      ...init.headers,
    },
  });
}
