import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes } from "@noble/hashes/utils.js";
import type { Address, Bytes32, RepoId } from "./ids.ts";

export const zeroBytes32 = `0x${"0".repeat(64)}` as Bytes32;

/** What the registry binds about one Push. The digests are the sha2-256 multihash digests of DAG-CBOR CIDv1s. */
export interface PushLeaf {
  readonly repo: RepoId;
  readonly seq: bigint;
  readonly previous: Bytes32;
  readonly record: Bytes32;
  readonly manifest: Bytes32;
  readonly contributionsRoot: Bytes32;
  readonly pusher: Address;
}

/** `keccak256(keccak256(abi.encode(repo, seq, previous, record, manifest, contributionsRoot, pusher)))`. */
export function leafHash(leaf: PushLeaf): Bytes32 {
  const encoded = concatBytes(
    word(leaf.repo),
    word(leaf.seq),
    word(leaf.previous),
    word(leaf.record),
    word(leaf.manifest),
    word(leaf.contributionsRoot),
    word(leaf.pusher),
  );
  return hex(keccak_256(keccak_256(encoded)));
}

/**
 * A repository's head after a Push: `keccak256(abi.encode(previous, seq, leaf))` with its low 5 bytes replaced by `seq`.
 * One storage slot so holds both, which halves what recording costs; 216 bits of the hash remain.
 */
export function headAfter(previous: Bytes32, seq: bigint, leaf: Bytes32): Bytes32 {
  const hash = BigInt(hex(keccak_256(concatBytes(word(previous), word(seq), word(leaf)))));
  return `0x${(((hash >> 40n) << 40n) | seq).toString(16).padStart(64, "0")}` as Bytes32;
}

/** The sequence number inside a head; 0 for a repository without a Push. */
export function seqOfHead(head: Bytes32): bigint {
  return BigInt(head) & 0xff_ffff_ffffn;
}

function word(value: string | bigint): Uint8Array {
  return hexToBytes(BigInt(value).toString(16).padStart(64, "0"));
}

function hex(bytes: Uint8Array): Bytes32 {
  return `0x${bytesToHex(bytes)}` as Bytes32;
}
