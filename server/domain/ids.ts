import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { GitdError } from "./errors.ts";

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: { readonly [K in Name]: true } };

/** A Git object id in lower-case hex: 40 characters in SHA-1 repositories, 64 in SHA-256 ones. */
export type Oid = Branded<string, "Oid">;
/** A CIDv1 in base32 (`b…`). */
export type Cid = Branded<string, "Cid">;
/** An EVM address in lower-case hex with `0x`. */
export type Address = Branded<string, "Address">;
/** 32 bytes in lower-case hex with `0x`. */
export type Bytes32 = Branded<string, "Bytes32">;
/** `keccak256(utf8("<namespace>/<name>"))`: what the registry calls a repository. */
export type RepoId = Branded<Bytes32, "RepoId">;

export type ObjectFormat = "sha1" | "sha256";

/** Where a repository is found: `<namespace>/<name>`, both lower case. */
export interface RepoPath {
  readonly namespace: string;
  readonly name: string;
}

const oidPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const cidPattern = /^b[a-z2-7]{20,110}$/;
const addressPattern = /^0x[0-9a-fA-F]{40}$/;
const bytes32Pattern = /^0x[0-9a-fA-F]{64}$/;
/** Readable namespaces: letters, digits and single hyphens, 3 to 39 characters; never shaped like an address. */
const namespacePattern = /^(?!0x)[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){2,38}$/;
const namePattern = /^[a-z0-9_][a-z0-9._-]{0,98}$/;

export function parseOid(text: unknown): Oid {
  if (typeof text !== "string" || !oidPattern.test(text)) throw invalid("object id", text);
  return text as Oid;
}

export function isOid(text: string): text is Oid {
  return oidPattern.test(text);
}

/** The oid that stands for "no object": zeros, as long as the format's ids. */
export function zeroOid(format: ObjectFormat): Oid {
  return "0".repeat(oidHexLength(format)) as Oid;
}

export function isZeroOid(oid: Oid): boolean {
  return /^0+$/.test(oid);
}

export function oidHexLength(format: ObjectFormat): 40 | 64 {
  return format === "sha1" ? 40 : 64;
}

export function parseCid(text: unknown): Cid {
  if (typeof text !== "string" || !cidPattern.test(text)) throw invalid("CID", text);
  return text as Cid;
}

export function parseAddress(text: unknown): Address {
  if (typeof text !== "string" || !addressPattern.test(text)) throw invalid("address", text);
  return text.toLowerCase() as Address;
}

export function isAddress(text: string): boolean {
  return addressPattern.test(text);
}

export function parseBytes32(text: unknown): Bytes32 {
  if (typeof text !== "string" || !bytes32Pattern.test(text)) throw invalid("32-byte value", text);
  return text.toLowerCase() as Bytes32;
}

export function isReadableNamespace(text: string): boolean {
  return namespacePattern.test(text);
}

/**
 * Reads `<namespace>/<name>`, with or without a trailing `.git`. A namespace is a wallet address or a readable name.
 * Anything else (dots, encodings, NUL, deeper paths) is refused as `not-found`, as no such repository can exist.
 */
export function parseRepoPath(text: string): RepoPath {
  const parts = text.toLowerCase().split("/");
  const [namespace, rawName] = parts;
  if (parts.length === 2 && namespace !== undefined && rawName !== undefined) {
    const name = rawName.endsWith(".git") ? rawName.slice(0, -4) : rawName;
    const namespaceFits = isAddress(namespace) || namespacePattern.test(namespace);
    if (namespaceFits && namePattern.test(name) && !name.includes("..") && !name.endsWith(".lock")) {
      return { namespace, name };
    }
  }
  throw new GitdError("repo-not-found", "there is no repository at this path", {
    fix: "a repository's address is http://<host>/<namespace>/<name>.git",
  });
}

export function formatRepoPath(path: RepoPath): string {
  return `${path.namespace}/${path.name}`;
}

export function repoIdOf(path: RepoPath): RepoId {
  return keccakText(formatRepoPath(path)) as RepoId;
}

export function keccakText(text: string): Bytes32 {
  return `0x${bytesToHex(keccak_256(utf8ToBytes(text)))}` as Bytes32;
}

function invalid(what: string, value: unknown): GitdError {
  const shown = typeof value === "string" ? value.slice(0, 80) : typeof value;
  return new GitdError("invalid", `not a valid ${what}: ${shown}`);
}
