import type { ServerResponse } from "node:http";
import { type ErrorCode, GitdError, explain, isGitdError } from "../domain/errors.ts";
import { encodeErr } from "../git/pkt-line.ts";

/**
 * Who asked, which decides how a refusal must look to be read at all:
 * - `git-advertise`: info/refs, the one place where git shows the body of an error status, if it is text/plain
 * - `git-upload-pack`: a fetch's POST, where git drops the body of an error status but shows an `ERR` packet
 * - `git-receive-pack`: a push's POST before its commands are known; after that the flow reports on each ref
 * - `api`: application/problem+json (RFC 9457)
 * - `gateway`: text/plain
 */
export type Door = "git-advertise" | "git-upload-pack" | "git-receive-pack" | "api" | "gateway";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/**
 * The one table from code to status.
 * - 401 makes git erase the credential it used, so it stands for unusable credentials only, never for an empty quota.
 * - 402 is for what money mends; 429 for what passes within minutes, since clients wait and try again on it.
 */
const statusOf: Readonly<Record<ErrorCode, number>> = {
  unauthenticated: 401,
  forbidden: 403,
  "repo-not-found": 404,
  "not-found": 404,
  "bond-required": 402,
  "quota-exhausted": 402,
  "credit-exhausted": 402,
  "cap-exceeded": 402,
  "rate-limited": 429,
  "push-refused": 422,
  "ref-conflict": 409,
  conflict: 409,
  "too-large": 413,
  "content-mismatch": 422,
  invalid: 400,
  "storage-full": 507,
  "storage-unavailable": 503,
  "chain-unavailable": 503,
  unavailable: 503,
  cancelled: 499,
  internal: 500,
};

/** Clients give up on a longer wait (git from 300 seconds on). */
const retryAfterSecondsMax = 300;
const retryAfterSecondsDefault = 5;
const noCache = {
  "cache-control": "no-cache, max-age=0, must-revalidate",
  expires: "Fri, 01 Jan 1980 00:00:00 GMT",
  pragma: "no-cache",
} as const;

/** The status that a code stands for where the door can show one. */
export function statusOfCode(code: ErrorCode): number {
  return statusOf[code];
}

/** What to answer for an error at a door. Errors that are no {@link GitdError} tell nothing of the inside. */
export function answerTo(error: unknown, door: Door): Answer {
  const refusal = asRefusal(error);
  const headers: Record<string, string> = { ...noCache };
  const status = statusOf[refusal.code];
  if (refusal.code === "unauthenticated") {
    headers["www-authenticate"] = `Basic realm="Gitd", charset="UTF-8"`;
  }
  if (status === 429 || status === 503) {
    const seconds = refusal.retryAfterSeconds ?? retryAfterSecondsDefault;
    headers["retry-after"] = String(Math.max(1, Math.min(Math.ceil(seconds), retryAfterSecondsMax)));
  }
  if (door === "git-upload-pack" && status !== 401) {
    headers["content-type"] = "application/x-git-upload-pack-result";
    return { status: 200, headers, body: encodeErr(explain(refusal)) };
  }
  if (door === "api") {
    headers["content-type"] = "application/problem+json";
    return { status, headers, body: problem(refusal, status) };
  }
  headers["content-type"] = "text/plain; charset=utf-8";
  return { status, headers, body: `${explain(refusal)}\n` };
}

/** Sends the answer if nothing was sent yet; else the response is broken off, as its status can no longer change. */
export function refuse(response: ServerResponse, error: unknown, door: Door): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { status, headers, body } = answerTo(error, door);
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(status, { ...headers, "content-length": String(Buffer.byteLength(body)) });
  response.end(body);
  // NOTE: a client that is still sending reads the answer only once its body was taken.
  response.req.resume();
}

/** The error as one that a person may see. */
export function asRefusal(error: unknown): GitdError {
  if (isGitdError(error)) return error;
  if (isAbort(error)) return new GitdError("cancelled", "the request was broken off", { cause: error });
  return new GitdError("internal", "the server failed to do this; its operator finds the reason in its log", {
    fix: "try again; if it stays, tell the operator the time and the address you used",
    cause: error,
  });
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
}

/** For responses that no cache may keep: all of Git's and the API's. */
export function forbidCaching(response: ServerResponse): void {
  for (const [name, value] of Object.entries(noCache)) response.setHeader(name, value);
}

function problem(refusal: GitdError, status: number): string {
  return JSON.stringify({
    type: "about:blank",
    title: refusal.code,
    status,
    code: refusal.code,
    detail: refusal.message,
    ...(refusal.fix === undefined ? {} : { fix: refusal.fix }),
    ...(refusal.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: refusal.retryAfterSeconds }),
  });
}
