// Requests over REST: `read` and `send`, and one kind of error.

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
 * With `token`, an access token, the response also has what only its wallet may see.
 *
 * A request that must wait (429, 503 with Retry-After) is repeated once; the second rejection is thrown.
 */
export async function read(path, parameters = {}, { signal, token } = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const options = token ? { headers: { authorization: `Bearer ${token}` } } : {};
  try {
    return await attempt(url, options, signal);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.retryAfterSeconds) throw error;
    await new Promise((done) => setTimeout(done, Math.min(error.retryAfterSeconds, 30) * 1000));
    return attempt(url, options, signal);
  }
}

/** Post a body to a path below /api; it is sent once, because a repetition might act twice. */
export const send = (path, body) =>
  attempt(new URL(path, BASE), { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });

async function attempt(url, options, signal) {
  const signals = [AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...(signal ? [signal] : [])];
  const headers = { accept: "application/json", ...options.headers };
  const answer = await fetch(url, { ...options, signal: AbortSignal.any(signals), headers });
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  throw new ApiError(answer.status, body, Number(answer.headers.get("retry-after")) || null);
}

/** The position of a response, as the server sent it; a stream takes it in `since`. */
export const position = (answer) => answer.as_of.position;
