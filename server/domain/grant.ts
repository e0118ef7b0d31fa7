import { z } from "zod";
import { GitdError } from "./errors.ts";
import { type Address, type Bytes32, type RepoPath, formatRepoPath, parseAddress } from "./ids.ts";
import { type TypedDomain, type TypedStruct, signerOf, typedDigest } from "./typed-data.ts";

/**
 * A signed, capped, expiring permission to act as an account, and to use its Bond, at one host. Plain Git sends it as
 * the Basic password, with the wallet address as the user name.
 */
export interface Grant {
  /** The account that acts and, through its Bond, pays. */
  readonly account: Address;
  /** The Bond that pays for reads; 0 for none. */
  readonly bond: bigint;
  /** 1 is Git. */
  readonly service: number;
  /** The origin it is good at, such as `http://127.0.0.1:8417`. */
  readonly audience: string;
  /** Space-separated `<namespace>/<name>:<level>`; `*` for either part of the path; a lone `*` is `*\/*:write`. */
  readonly scope: string;
  /** The most it may ever be charged in total, in µCODEX. */
  readonly cap: bigint;
  /** Seconds since 1970 after which it is void. */
  readonly deadline: bigint;
  /** The Bond's authorisation epoch; raising it on chain voids every earlier Grant. */
  readonly epoch: number;
  /** Makes two Grants with equal terms distinct. */
  readonly nonce: Bytes32;
}

export type AccessLevel = "read" | "write" | "admin";

const levels: readonly AccessLevel[] = ["read", "write", "admin"];

export const grantStruct: TypedStruct = {
  name: "Grant",
  fields: [
    { name: "account", type: "address" },
    { name: "bond", type: "uint64" },
    { name: "service", type: "uint32" },
    { name: "audience", type: "string" },
    { name: "scope", type: "string" },
    { name: "cap", type: "uint128" },
    { name: "deadline", type: "uint64" },
    { name: "epoch", type: "uint32" },
    { name: "nonce", type: "bytes32" },
  ],
};

const uintText = z.string().regex(/^(0|[1-9][0-9]{0,38})$/);
const wireSchema = z.strictObject({
  account: z.string().regex(/^0x[0-9a-f]{40}$/),
  bond: uintText,
  service: z.number().int().min(0).max(0xffffffff),
  audience: z.string().max(300),
  scope: z.string().min(1).max(2000),
  cap: uintText,
  deadline: uintText,
  epoch: z.number().int().min(0).max(0xffffffff),
  nonce: z.string().regex(/^0x[0-9a-f]{64}$/),
});

const prefix = "gitd1.";
/** Longest encoded Grant that is looked at: request headers are bounded, and the typical one has 500 characters. */
export const grantCharactersMax = 8000;

export interface SignedGrant {
  readonly grant: Grant;
  /** 65 bytes `r ‖ s ‖ v` in hex with `0x`. */
  readonly signature: string;
}

/** The EIP-712 domain of Grants and Receipts: the AccessBond contract of one chain. */
export function grantDomain(chainId: bigint, accessBond: Address): TypedDomain {
  return { name: "Gitd", version: "1", chainId, verifyingContract: accessBond };
}

/** The Grant's digest, which is also its name (`id`) in the ledger, in receipts and for revocation. */
export function grantDigest(domain: TypedDomain, grant: Grant): Bytes32 {
  return typedDigest(domain, grantStruct, grantValues(grant));
}

export function grantValues(grant: Grant): Record<string, string | bigint> {
  return { ...grant, service: BigInt(grant.service), epoch: BigInt(grant.epoch) };
}

export function encodeGrant({ grant, signature }: SignedGrant): string {
  const wire = {
    ...grant,
    bond: String(grant.bond),
    cap: String(grant.cap),
    deadline: String(grant.deadline),
  };
  return `${prefix}${Buffer.from(JSON.stringify(wire)).toString("base64url")}.${signature.slice(2)}`;
}

/** Reads what {@link encodeGrant} wrote; anything else is `unauthenticated`. The signature is not checked here. */
export function decodeGrant(text: string): SignedGrant {
  const parts = text.slice(prefix.length).split(".");
  const [body, signature] = parts;
  if (
    text.length > grantCharactersMax ||
    !text.startsWith(prefix) ||
    parts.length !== 2 ||
    body === undefined ||
    signature === undefined ||
    !/^[0-9a-f]{130}$/.test(signature)
  ) {
    throw malformed();
  }
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
  } catch (cause) {
    throw malformed(cause);
  }
  const wire = wireSchema.safeParse(json);
  if (!wire.success) throw malformed(wire.error);
  const { account, nonce, bond, cap, deadline, ...rest } = wire.data;
  const grant: Grant = {
    ...rest,
    account: parseAddress(account),
    nonce: nonce as Bytes32,
    bond: BigInt(bond),
    cap: BigInt(cap),
    deadline: BigInt(deadline),
  };
  return { grant, signature: `0x${signature}` };
}

/** The address whose key signed the Grant, or undefined for a malformed signature. */
export function grantSigner(domain: TypedDomain, signed: SignedGrant): Address | undefined {
  return signerOf(grantDigest(domain, signed.grant), signed.signature);
}

/** Whether a scope reaches `level` on a repository. `admin` contains `write`, which contains `read`. */
export function scopeAllows(scope: string, path: RepoPath, level: AccessLevel): boolean {
  return scope.split(" ").some((entry) => {
    const [pattern, granted] = entry === "*" ? ["*/*", "write"] : splitEntry(entry);
    return levels.indexOf(granted as AccessLevel) >= levels.indexOf(level) && patternMatches(pattern, path);
  });
}

/** Checks a scope's grammar; returns it in normal form (lower case, single spaces). */
export function parseScope(text: string): string {
  const entries = text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "");
  for (const entry of entries) {
    if (entry === "*") continue;
    const [pattern, level] = splitEntry(entry);
    const parts = pattern.split("/");
    const wellFormed = parts.length === 2 && parts.every((part) => part !== "");
    if (!wellFormed || !levels.includes(level as AccessLevel)) {
      throw new GitdError("invalid", `scope entry '${entry}' is not understood`, {
        fix: "write entries as '<namespace>/<name>:read', ':write' or ':admin'; '*' stands for every repository",
      });
    }
  }
  if (entries.length === 0) throw new GitdError("invalid", "the scope is empty", { fix: "use '*' for all" });
  return entries.join(" ");
}

function splitEntry(entry: string): [string, string] {
  const at = entry.lastIndexOf(":");
  return [entry.slice(0, Math.max(at, 0)), entry.slice(at + 1)];
}

function patternMatches(pattern: string, path: RepoPath): boolean {
  if (pattern === formatRepoPath(path) || pattern === "*/*") return true;
  const [namespace, name] = pattern.split("/");
  return (namespace === "*" || namespace === path.namespace) && (name === "*" || name === path.name);
}

function malformed(cause?: unknown): GitdError {
  return new GitdError("unauthenticated", "the password is not a Grant", {
    fix: "run 'gitd login' to let git fetch Grants by itself, or print one with 'gitd grant create'",
    cause,
  });
}
