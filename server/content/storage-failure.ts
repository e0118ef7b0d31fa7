import { GitdError, isGitdError } from "../domain/errors.ts";

const sqliteFull = 13;
const sqliteBusy = new Set([5, 6]);

/** What a failed disk or SQLite call means to a caller; anything else is given back as it is. */
export function storageFailure(error: unknown): unknown {
  if (!(error instanceof Error) || isGitdError(error)) return error;
  const code = codeOf(error);
  const sqlite = "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
  if (code === "ENOSPC" || code === "EDQUOT" || sqlite === sqliteFull) {
    return new GitdError("storage-full", "the content store has no space left", {
      fix: "free space on the disk that holds the data folder",
      cause: error,
    });
  }
  if (sqlite !== undefined && sqliteBusy.has(sqlite)) {
    return new GitdError("storage-unavailable", "the content index is busy", {
      retryAfterSeconds: 1,
      cause: error,
    });
  }
  if (sqlite !== undefined || ["EIO", "EROFS", "EMFILE", "ENFILE", "EACCES"].includes(code ?? "")) {
    return new GitdError("storage-unavailable", `the content store cannot be used: ${error.message}`, {
      cause: error,
    });
  }
  return error;
}

/** The code of a Node system error such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
