// Reads refusals and sessions, also where a proxy answered in place of the API.

import type { FieldProblem, Session } from "./types.js";

/** Refusals that another attempt may not meet: Request Timeout, Too Early, Too Many Requests. */
const PASSING_REFUSALS = new Set([408, 425, 429]);
/** Answers of a server, or of a proxy before it, that is busy or restarts. */
const UNAVAILABLE = new Set([502, 503, 504]);

/** Whether a refusal with this status stays the same when the request is sent again. */
export const isFinal = (status: number): boolean => status >= 400 && status < 500 && !PASSING_REFUSALS.has(status);

/** Whether a server, or a proxy before it, is busy or restarts. */
export const isUnavailable = (status: number): boolean => UNAVAILABLE.has(status);

/** The problem of an answer; an empty one for an answer that is not this API's, such as a proxy's page. */
export async function parseProblem(
  answer: Response,
): Promise<{ code?: string; message?: string; details?: FieldProblem[] }> {
  const problem: unknown = await answer.json().catch(() => null);
  return typeof problem === "object" && problem !== null && !Array.isArray(problem) ? problem : {};
}

/** The seconds of a Retry-After header; null for a date, which this API never sends. */
export function parseSeconds(retryAfter: string | null): number | null {
  return retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
}

/** The session of an answer; throws for an answer of something else, such as a proxy's `null` or `{}`. */
export function requireSession(answer: unknown): Session {
  const session = answer as Partial<Session> | null;
  if (typeof session?.access_token !== "string" || typeof session.refresh_token !== "string")
    throw new Error("The answer is no session.");
  return session as Session;
}
