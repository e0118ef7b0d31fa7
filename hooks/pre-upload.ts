import {
  type Bond,
  type HoldTerms,
  type Price,
  type Policy,
  type Usage,
  admit,
  gibibyte,
} from "../server/domain/bond.ts";
import { GitdError } from "../server/domain/errors.ts";

/** Who asks to read, as far as admission goes. */
export interface Reader {
  readonly isKnown: boolean;
  /** Whether the reader's Grant reaches this repository with at least `read`. */
  readonly inScope: boolean;
  readonly isOwnerOrWriter: boolean;
  /** 0 for none. */
  readonly bond: bigint;
}

export type ReadAccess = "free" | "metered";

/**
 * Whether a read costs: `open` repositories are free to all, owners and writers read their own freely, all else is
 * metered. Throws the refusal for who may not read: `unauthenticated`, `repo-not-found` (which hides that a private
 * repository exists), `forbidden` or `bond-required`.
 */
export function decideRead(policy: Policy, path: string, reader: Reader): ReadAccess {
  if (policy === "open") return "free";
  if (!reader.isKnown) throw signIn(path);
  if (policy === "private" && !(reader.isOwnerOrWriter && reader.inScope)) throw hidden();
  if (!reader.inScope) {
    throw new GitdError("forbidden", `the Grant's scope does not cover reading ${path}`, {
      fix: `make one that does: gitd grant create --scope '${path}:read'`,
    });
  }
  if (reader.isOwnerOrWriter) return "free";
  if (reader.bond === 0n) {
    throw new GitdError(
      "bond-required",
      `reading ${path} is paid for by an Access Bond, and the Grant names none`,
      {
        fix: "open one: gitd bond open <CODEX>",
      },
    );
  }
  return "metered";
}

/** What an access is expected to send. */
export interface ExpectedRead {
  /** All that the repository could send. */
  readonly bytes: bigint;
  /** True for a clone, where a part of the answer is worth nothing. */
  readonly whole: boolean;
  readonly price: Price;
  readonly grantCap: bigint;
}

/**
 * Quota and credit to set aside. A clone needs them for the whole answer; a fetch mostly sends a small part, so it may
 * start with what the credit reaches for and is cut off where that ends.
 */
export function termsOfRead(bond: Bond, usage: Usage, openHolds: number, read: ExpectedRead): HoldTerms {
  const bytes = read.whole ? read.bytes : least(read.bytes, affordableBytes(bond, usage, read));
  return admit(bond, usage, openHolds, {
    bytes,
    bytesLeast: read.whole ? read.bytes : 0n,
    price: read.price,
    grantCap: read.grantCap,
  });
}

function affordableBytes(bond: Bond, usage: Usage, read: ExpectedRead): bigint {
  if (read.price.perGib === 0n) return read.bytes;
  const credit = bond.deposit - bond.thawing - usage.unsettled;
  const left = least(credit, read.grantCap - usage.grantCharged) - read.price.perCall;
  // NOTE: one byte when nothing is left, so that admit() refuses and says which of the limits it was.
  return left <= 0n ? 1n : least(read.bytes, (left * gibibyte) / read.price.perGib);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function signIn(path: string): GitdError {
  return new GitdError("unauthenticated", `${path} needs a Grant`, {
    fix: "run 'gitd login' once, or give your wallet address as user name and a Grant as password",
  });
}

/** One answer for what does not exist and for what this account may not know of. */
export function hidden(): GitdError {
  return new GitdError(
    "repo-not-found",
    "there is no such repository, or it is not visible to this account",
    {
      fix: "check the address and the wallet in use (gitd wallet list); pushing creates repositories in your own namespace",
    },
  );
}
