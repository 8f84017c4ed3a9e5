import { hasCode } from "../lib/errors.ts";
import { errorResponse } from "./error-response.ts";
import { nativeErrorResponse } from "./lmstudio/error-response.ts";

/**
 * The failure in the words of the API that was asked: everything below `/api/v1/` is LM Studio's
 * own; below `/api/` it also words what happens in front of a route.
 */
export function answerError(error: unknown, path: string): Response {
  const isInFront = hasCode(error, "unauthorized") || hasCode(error, "route_not_found");
  const isNative = isNativePath(path) || (isInFront && isNativeInFront(path));
  return isNative ? nativeErrorResponse(error) : errorResponse(error);
}

/** Routes that answer in the native API's own form. */
export const isNativePath = (path: string): boolean => path.startsWith("/api/v1/");

/** Routes in front of which failures are told in that form. */
export const isNativeInFront = (path: string): boolean => path.startsWith("/api/");
