import { randomBytes } from "node:crypto";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { type Grant, encodeGrant, grantDigest, grantDomain } from "../../server/domain/grant.ts";
import { type Address, parseAddress, parseBytes32 } from "../../server/domain/ids.ts";
import type { TypedDomain } from "../../server/domain/typed-data.ts";

/** The chain and contract that a server's Grants are signed for, and the origin they name. */
export interface Service {
  readonly url: string;
  readonly chainId: bigint;
  readonly accessBond: Address;
}

const hourSeconds = 3600n;

/** An account with its key, held in memory for one test. */
export class Wallet {
  readonly #key: Uint8Array;
  readonly address: Address;

  constructor(key: Uint8Array = secp256k1.utils.randomSecretKey()) {
    this.#key = key;
    const point = secp256k1.getPublicKey(key, false).subarray(1);
    this.address = parseAddress(`0x${Buffer.from(keccak_256(point).subarray(12)).toString("hex")}`);
  }

  get keyHex(): string {
    return `0x${Buffer.from(this.#key).toString("hex")}`;
  }

  /** A Grant as git sends it; by default one that may do anything with the account's own and has no Bond. */
  grant(service: Service, terms: Partial<Grant> = {}): string {
    return this.#sign(grantDomain(service.chainId, service.accessBond), {
      account: this.address,
      bond: 0n,
      service: 1,
      audience: service.url,
      scope: "*/*:admin",
      cap: 0n,
      deadline: BigInt(Math.floor(Date.now() / 1000)) + hourSeconds,
      epoch: 0,
      nonce: parseBytes32(`0x${randomBytes(32).toString("hex")}`),
      ...terms,
    });
  }

  #sign(domain: TypedDomain, grant: Grant): string {
    const digest = Buffer.from(grantDigest(domain, grant).slice(2), "hex");
    const [recovery = 0, ...compact] = secp256k1.sign(digest, this.#key, {
      prehash: false,
      format: "recovered",
    });
    const signature = Buffer.from([...compact, recovery + 27]).toString("hex");
    return encodeGrant({ grant, signature: `0x${signature}` });
  }
}
