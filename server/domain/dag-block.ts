import { decode, encode } from "@ipld/dag-cbor";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import { GitdError } from "./errors.ts";
import { type Bytes32, type Cid, parseCid } from "./ids.ts";

/** A DAG-CBOR block and the Cid that names it. */
export interface DagBlock {
  readonly cid: Cid;
  readonly bytes: Uint8Array;
}

const dagCborCode = 0x71;
const sha256Code = 0x12;

/** Encodes canonically: one value has one form, so one Cid. Links inside are {@link linkOf} values. */
export function encodeBlock(value: unknown): DagBlock {
  const bytes = encode(value);
  return { cid: dagCborCid(sha256(bytes)), bytes };
}

/** Decodes bytes from anywhere; throws `content-mismatch` for what is not DAG-CBOR. */
export function decodeBlock(bytes: Uint8Array): unknown {
  try {
    return decode(bytes);
  } catch (cause) {
    throw new GitdError("content-mismatch", "a block is not DAG-CBOR", { cause });
  }
}

/** The Cid as a link, which DAG-CBOR writes with tag 42 so that IPFS tools can follow it. */
export function linkOf(cid: Cid): CID {
  return CID.parse(cid);
}

/** The Cid of a decoded link; undefined for anything else. */
export function cidOfLink(value: unknown): Cid | undefined {
  const link = CID.asCID(value);
  return link?.version === 1 ? parseCid(link.toString()) : undefined;
}

/** What the chain keeps of a Manifest or record: the sha2-256 digest in its Cid. Throws `invalid` for other kinds of Cid. */
export function digestOfCid(cid: Cid): Bytes32 {
  const parsed = CID.parse(cid);
  if (parsed.code !== dagCborCode || parsed.multihash.code !== sha256Code) {
    throw new GitdError("invalid", `${cid} does not name a DAG-CBOR block by sha2-256`);
  }
  return `0x${bytesToHex(parsed.multihash.digest)}` as Bytes32;
}

/** The inverse of {@link digestOfCid}. */
export function cidOfDigest(digest: Bytes32): Cid {
  return dagCborCid(hexToBytes(digest.slice(2)));
}

function dagCborCid(digest: Uint8Array): Cid {
  return parseCid(CID.createV1(dagCborCode, createDigest(sha256Code, digest)).toString());
}
