import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Address, Bytes32 } from "./ids.ts";

/**
 * EIP-712 for flat structs of `string`, `address`, `bytes32` and `uintN`. The HTTP process checks Grants with this
 * rather than with a chain library, which would cost it 37 MB of memory.
 */
export interface TypedStruct {
  readonly name: string;
  readonly fields: readonly { readonly name: string; readonly type: string }[];
}

export interface TypedDomain {
  readonly name: string;
  readonly version: string;
  readonly chainId: bigint;
  readonly verifyingContract: Address;
}

const domainType = utf8ToBytes(
  "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
);

/** The digest a wallet signs: `keccak256(0x1901 ‖ domain separator ‖ struct hash)`. */
export function typedDigest(
  domain: TypedDomain,
  struct: TypedStruct,
  values: Readonly<Record<string, string | bigint>>,
): Bytes32 {
  const separator = keccak_256(
    concatBytes(
      keccak_256(domainType),
      keccak_256(utf8ToBytes(domain.name)),
      keccak_256(utf8ToBytes(domain.version)),
      word(domain.chainId),
      word(BigInt(domain.verifyingContract)),
    ),
  );
  const type = `${struct.name}(${struct.fields.map((field) => `${field.type} ${field.name}`).join(",")})`;
  const words = struct.fields.map((field) => {
    const value = values[field.name];
    if (value === undefined) throw new TypeError(`typed data lacks ${field.name}`);
    return field.type === "string" ? keccak_256(utf8ToBytes(String(value))) : word(BigInt(value));
  });
  const structHash = keccak_256(concatBytes(keccak_256(utf8ToBytes(type)), ...words));
  const digest = keccak_256(concatBytes(new Uint8Array([0x19, 0x01]), separator, structHash));
  return `0x${bytesToHex(digest)}` as Bytes32;
}

/**
 * Who signed a digest, from a 65-byte `r ‖ s ‖ v` signature; undefined if it is malformed. High-s signatures are
 * refused, so that a signature has one form only (EIP-2).
 */
export function signerOf(digest: Bytes32, signatureHex: string): Address | undefined {
  if (!/^0x[0-9a-f]{128}(1b|1c)$/i.test(signatureHex)) return undefined;
  const bytes = hexToBytes(signatureHex.slice(2));
  const recovery = (bytes[64] as number) - 27;
  try {
    const signature = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), "compact").addRecoveryBit(
      recovery,
    );
    if (signature.hasHighS()) return undefined;
    const point = signature.recoverPublicKey(hexToBytes(digest.slice(2)));
    const key = point.toBytes(false).subarray(1);
    return `0x${bytesToHex(keccak_256(key).subarray(12))}` as Address;
  } catch (error) {
    // NOTE: the curve library throws plain errors for values off the curve; to the caller they are one thing, a bad signature.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function word(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, "0"));
}
