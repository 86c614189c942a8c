/**
 * ZMART from TypeScript: every call of the API, and streams that reconnect by themselves.
 *
 *     const zmart = new Zmart("http://127.0.0.1:4000");
 *     const page = await zmart.listMarkets({ state: "ACTIVE" });
 *     for await (const frame of zmart.follow(["trades"])) { ... }
 *
 * Needs only `fetch` and, for WebSocket, `WebSocket`: browsers and Node from 22 have both.
 */
export { ApiError, Zmart, type Sign, type ZmartOptions } from "./client.js";
export { StreamRejected, Stream, type StreamOptions } from "./stream.js";
export type * from "./types.js";
