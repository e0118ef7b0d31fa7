/**
 * Every refusal that a user can meet. `http/respond.ts` holds the one table from code to response, so a new code
 * does not compile until that table answers for it.
 */
export type ErrorCode =
  | "unauthenticated"
  | "forbidden"
  | "repo-not-found"
  | "not-found"
  | "bond-required"
  | "quota-exhausted"
  | "credit-exhausted"
  | "cap-exceeded"
  | "rate-limited"
  | "push-refused"
  | "ref-conflict"
  | "conflict"
  | "too-large"
  | "content-mismatch"
  | "invalid"
  | "storage-full"
  | "storage-unavailable"
  | "chain-unavailable"
  | "unavailable"
  | "cancelled"
  | "internal";

export interface ErrorFacts {
  /** What the reader can do about it: a command or a sentence. */
  readonly fix?: string;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/** A refusal or failure with a stable code; the message says what happened and why, `fix` what to do. Never holds a secret. */
export class GitdError extends Error {
  override readonly name = "GitdError";
  readonly code: ErrorCode;
  readonly fix: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.fix = facts.fix;
    this.retryAfterSeconds = facts.retryAfterSeconds;
  }
}

/** Text for a person: what happened and, on a second line, what to do. */
export function explain(error: GitdError): string {
  return error.fix === undefined ? error.message : `${error.message}\n${error.fix}`;
}

export function isGitdError(error: unknown, code?: ErrorCode): error is GitdError {
  return error instanceof GitdError && (code === undefined || error.code === code);
}
