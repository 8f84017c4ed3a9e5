import type { Server } from "../generation.ts";
import type { Route } from "../route.ts";
import { nativeChat } from "./chat.ts";
import { nativeDownloads } from "./download.ts";
import { nativeLoad } from "./load.ts";
import { nativeModels } from "./models.ts";
import { nativeUnload } from "./unload.ts";
import { v0Inference } from "./v0-inference.ts";
import { v0Model, v0Models } from "./v0-models.ts";

/** LM Studio's own API, in its present and its older form. */
export function lmstudioRoutes(server: Server): Route[] {
  return [
    nativeChat(server),
    nativeModels(server),
    nativeLoad(server),
    nativeUnload(server),
    ...nativeDownloads(server),
    v0Models(server),
    v0Model(server),
    ...v0Inference(server),
  ];
}
