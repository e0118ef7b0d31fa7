import { createHash } from "node:crypto";
import type { Bond } from "../domain/bond.ts";
import { GitdError } from "../domain/errors.ts";
import { type Grant, decodeGrant, grantDigest } from "../domain/grant.ts";
import type { Address, Bytes32 } from "../domain/ids.ts";
import { type TypedDomain, signerOf } from "../domain/typed-data.ts";
import type { AccessLedger } from "../ledger/port.ts";
import type { Granted } from "./identity.ts";

export interface VerifyGrantParts {
  readonly ledger: Pick<AccessLedger, "bond" | "isGrantRevoked">;
  /** The EIP-712 domain of this server's chain and contract. */
  readonly domain: TypedDomain;
  /** Origins that a Grant may name as its audience. */
  readonly audiences: readonly string[];
  readonly nowSeconds: () => bigint;
}

interface CheckedSignature {
  readonly grant: Grant;
  readonly id: Bytes32;
  readonly signer: Address;
}

const gitService = 1;
const signaturesKeptMax = 4096;

/** Checks Grants. The signature check, a millisecond of curve arithmetic, is remembered; all that can change is not. */
export class GrantVerifier {
  readonly #parts: VerifyGrantParts;
  /** By digest of the encoded Grant, least recently used first. */
  readonly #checked = new Map<string, CheckedSignature>();

  constructor(parts: VerifyGrantParts) {
    this.#parts = parts;
  }

  /** Law: throws `unauthenticated` unless the Grant is whole, signed by who may, for this host and chain, and in force. */
  async verify(encoded: string): Promise<Granted> {
    const { grant, id, signer } = this.#signature(encoded);
    const { audiences, ledger, nowSeconds } = this.#parts;
    if (grant.service !== gitService) throw refusal("is for another service than Git", newGrant);
    if (!audiences.includes(grant.audience)) {
      throw refusal(`is for ${grant.audience}, and this is ${audiences[0] ?? "another host"}`, newGrant);
    }
    if (grant.deadline <= nowSeconds()) throw refusal("has expired", newGrant);
    if (await ledger.isGrantRevoked(id)) throw refusal("was revoked", newGrant);
    const bond = grant.bond === 0n ? undefined : await ledger.bond(grant.bond);
    if (grant.bond !== 0n && bond === undefined) {
      throw refusal(
        `names bond ${grant.bond}, which is not on chain (yet)`,
        "a new bond is seen within seconds; check it: gitd bond status",
      );
    }
    if (!maySign(grant, signer, bond)) {
      throw refusal(
        "is not signed by its account, nor by a session key of that account's bond, for this chain",
        newGrant,
      );
    }
    if (bond !== undefined && bond.epoch !== grant.epoch) {
      throw refusal(`was voided when bond ${bond.id} moved on to epoch ${bond.epoch}`, newGrant);
    }
    return { kind: "granted", account: grant.account, grant, id, bond };
  }

  #signature(encoded: string): CheckedSignature {
    const key = createHash("sha256").update(encoded).digest("base64");
    const known = this.#checked.get(key);
    if (known !== undefined) {
      this.#checked.delete(key);
      this.#checked.set(key, known);
      return known;
    }
    const signed = decodeGrant(encoded);
    const id = grantDigest(this.#parts.domain, signed.grant);
    const signer = signerOf(id, signed.signature);
    if (signer === undefined) throw refusal("has a malformed signature", newGrant);
    const checked = { grant: signed.grant, id, signer };
    this.#checked.set(key, checked);
    const [oldest] = this.#checked.keys();
    if (this.#checked.size > signaturesKeptMax && oldest !== undefined) this.#checked.delete(oldest);
    return checked;
  }
}

const newGrant = "make a new one: gitd grant create, or let git fetch them by itself: gitd login";

/**
 * An account may sign for itself, using its own Bond or one that lists it as a session key. A session key may sign for
 * the Bond's owner only: were any listed account enough, anyone could list a stranger on a Bond and act as them.
 */
function maySign(grant: Grant, signer: Address, bond: Bond | undefined): boolean {
  if (bond === undefined) return signer === grant.account;
  const ownsBond = bond.owner === grant.account;
  if (signer === grant.account) return ownsBond || bond.signers.includes(grant.account);
  return ownsBond && bond.signers.includes(signer);
}

function refusal(why: string, fix: string): GitdError {
  return new GitdError("unauthenticated", `the Grant ${why}`, { fix });
}
