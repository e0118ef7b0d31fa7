import { hash as nodeHash } from "node:crypto";
import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import { GitdError } from "../domain/errors.ts";
import { type Cid, parseCid } from "../domain/ids.ts";

/** What bitswap and gateways carry in one piece; larger blocks are refused everywhere. */
export const blockBytesMax = 2 * 1024 * 1024;

/** Multicodec codes, see github.com/multiformats/multicodec. */
export const codecs = { raw: 0x55, dagPb: 0x70, dagCbor: 0x71 } as const;
const sha256Code = 0x12;

/** What a Cid says: which codec reads the block, and its sha2-256 digest. */
export interface CidParts {
  readonly codec: number;
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

/** node:crypto rather than @noble: 1.1 against 0.11 GB/s. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nodeHash("sha256", bytes, "buffer");
}

/** Throws `invalid` for a Cid by another hash than sha2-256: nothing here is named by one. */
export function partsOf(cid: Cid): CidParts {
  const parsed = decodeCid(cid);
  if (parsed.multihash.code !== sha256Code || parsed.multihash.size !== 32) {
    throw new GitdError("invalid", `${cid} does not name its block by sha2-256`);
  }
  return { codec: parsed.code, digest: parsed.multihash.digest, bytes: parsed.bytes };
}

export function cidOf(codec: number, digest: Uint8Array): Cid {
  return parseCid(CID.createV1(codec, createDigest(sha256Code, digest)).toString());
}

/** A link in someone's block as a Cid; version 0 links become their version 1 form, which names the same block. */
export function cidOfAnyLink(link: CID): Cid {
  return parseCid(link.toV1().toString());
}

/** Throws `too-large` or `content-mismatch` unless `bytes` are the block that `cid` names. */
export function checkBlock(cid: Cid, bytes: Uint8Array): void {
  if (bytes.length > blockBytesMax) throw tooLarge(cid);
  if (!sameBytes(sha256(bytes), partsOf(cid).digest)) {
    throw new GitdError("content-mismatch", `the bytes given for ${cid} are not the ones it names`);
  }
}

export function tooLarge(cid: Cid): GitdError {
  return new GitdError("too-large", `the block ${cid} is larger than ${blockBytesMax} bytes`, {
    fix: "store larger content as a file, which is cut into blocks",
  });
}

export function absent(cid: Cid): GitdError {
  return new GitdError("not-found", `${cid} is not in the content store`);
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function decodeCid(cid: Cid): CID {
  try {
    return CID.parse(cid);
  } catch (cause) {
    throw new GitdError("invalid", `not a valid CID: ${cid}`, { cause });
  }
}
