// Reads over REST: one function, one kind of error.

/** The base of all addresses: the API that served this page. */
const BASE = new URL("/api/", location.origin);
/** A request that never ends is worse than one that fails, because the page retries by itself. */
const REQUEST_TIMEOUT_MS = 15_000;

/** An error response of the API, as RFC 9457 problem details. */
export class ApiError extends Error {
  constructor(status, body, retryAfterSeconds) {
    super(body?.detail ?? body?.message ?? `The API answered ${status}.`);
    this.status = status;
    this.code = body?.code ?? "unknown";
    /** Seconds until a rejected request may be repeated; null when a retry does not help. */
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/**
 * Read a path below /api; parameters that are null or "" are left out.
 *
 * A request that must wait (429, 503 with Retry-After) is repeated once; the second rejection is thrown.
 */
export async function read(path, parameters = {}, { signal } = {}) {
  try {
    return await attempt(path, parameters, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.retryAfterSeconds) throw error;
    await new Promise((done) => setTimeout(done, Math.min(error.retryAfterSeconds, 30) * 1000));
    return attempt(path, parameters, signal);
  }
}

async function attempt(path, parameters, signal) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const signals = [AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...(signal ? [signal] : [])];
  const answer = await fetch(url, { signal: AbortSignal.any(signals), headers: { accept: "application/json" } });
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  throw new ApiError(answer.status, body, Number(answer.headers.get("retry-after")) || null);
}

/** The position of a response, as the server sent it; a stream takes it in `since`. */
export const position = (answer) => answer.as_of.position;
