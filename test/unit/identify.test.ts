import assert from "node:assert/strict";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import type { Bond } from "../../server/domain/bond.ts";
import { isGitdError } from "../../server/domain/errors.ts";
import { type Grant, encodeGrant, grantDigest, grantDomain } from "../../server/domain/grant.ts";
import type { Address, Bytes32 } from "../../server/domain/ids.ts";
import { GrantVerifier } from "../../server/flows/verify-grant.ts";
import { identify } from "../../server/http/identify.ts";

interface Key {
  readonly secret: Uint8Array;
  readonly address: Address;
}

function key(seed: number): Key {
  const secret = new Uint8Array(32).fill(seed);
  const point = secp256k1.getPublicKey(secret, false).subarray(1);
  return { secret, address: `0x${bytesToHex(keccak_256(point).subarray(12))}` as Address };
}

const owner = key(1);
const session = key(2);
const stranger = key(3);
const zero32 = `0x${"0".repeat(64)}` as Bytes32;
const domain = grantDomain(31337n, `0x${"b".repeat(40)}` as Address);
const now = 1_000_000n;
const origin = "http://127.0.0.1:8417";

const terms: Grant = {
  account: owner.address,
  bond: 0n,
  service: 1,
  audience: origin,
  scope: "*",
  cap: 1_000_000n,
  deadline: now + 60n,
  epoch: 0,
  nonce: zero32,
};

function signed(grant: Grant, signer: Key, at = domain): string {
  const bytes = secp256k1.sign(hexToBytes(grantDigest(at, grant).slice(2)), signer.secret, {
    prehash: false,
    format: "recovered",
  });
  const [recovery, ...compact] = bytes;
  return encodeGrant({
    grant,
    signature: `0x${bytesToHex(new Uint8Array([...compact, 27 + (recovery as number)]))}`,
  });
}

function bondOf(holder: Key, signers: readonly Key[], epoch = 0): Bond {
  return {
    id: 7n,
    owner: holder.address,
    pool: zero32,
    deposit: 1n,
    thawing: 0n,
    lockEnd: 0n,
    epoch,
    quotaCalls: 1n,
    quotaBytes: 1n,
    weight: 0n,
    signers: signers.map((one) => one.address),
  };
}

function verifier(bond?: Bond, revoked: readonly Bytes32[] = []): GrantVerifier {
  return new GrantVerifier({
    ledger: {
      bond: async (id) => (id === bond?.id ? bond : undefined),
      isGrantRevoked: async (id) => revoked.includes(id),
    },
    domain,
    audiences: [origin, "http://localhost:8417"],
    nowSeconds: () => now,
  });
}

const basic = (user: string, password: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});
const unauthenticated = (error: unknown): boolean => isGitdError(error, "unauthenticated");

describe("who sends a request", () => {
  it("is anonymous without a credential, and the Grant's account with one", async () => {
    assert.deepEqual(await identify({}, verifier()), { kind: "anonymous" });
    const grant = signed(terms, owner);
    for (const headers of [
      basic(owner.address, grant),
      basic(owner.address.toUpperCase().replace("0X", "0x"), grant),
      basic("", grant),
      { authorization: `Bearer ${grant}` },
      { authorization: `bearer ${grant}` },
    ]) {
      const identity = await identify(headers, verifier());
      assert.equal(identity.kind === "granted" && identity.account, owner.address);
    }
  });

  it("is refused for headers that hold no Grant, or another user's name", async () => {
    const grant = signed(terms, owner);
    for (const headers of [
      { authorization: "" },
      { authorization: "Basic" },
      { authorization: "Digest a=b" },
      { authorization: `Basic ${Buffer.from("nocolon").toString("base64")}` },
      basic(owner.address, "hunter2"),
      basic(stranger.address, grant),
      { authorization: `Bearer ${"x".repeat(20_000)}` },
    ]) {
      await assert.rejects(
        identify(headers, verifier()),
        unauthenticated,
        headers.authorization.slice(0, 30),
      );
    }
  });

  it("is refused for a Grant that is expired, revoked, or for another host, chain or service", async () => {
    const refused: [string, GrantVerifier][] = [
      [signed({ ...terms, deadline: now }, owner), verifier()],
      [signed(terms, owner), verifier(undefined, [grantDigest(domain, terms)])],
      [signed({ ...terms, audience: "http://evil.example" }, owner), verifier()],
      [signed(terms, owner, grantDomain(1n, domain.verifyingContract)), verifier()],
      [signed(terms, owner, grantDomain(31337n, stranger.address)), verifier()],
      [signed({ ...terms, service: 2 }, owner), verifier()],
      [signed(terms, stranger), verifier()],
    ];
    for (const [grant, by] of refused) await assert.rejects(by.verify(grant), unauthenticated);
  });

  it("may use its bond, also through a session key of it", async () => {
    const withBond = { ...terms, bond: 7n };
    const mine = bondOf(owner, [session]);
    assert.equal((await verifier(mine).verify(signed(withBond, owner))).bond, mine);
    assert.equal((await verifier(mine).verify(signed(withBond, session))).account, owner.address);
    const listed = { ...withBond, account: session.address };
    assert.equal((await verifier(mine).verify(signed(listed, session))).account, session.address);
    await assert.rejects(verifier(mine).verify(signed(withBond, stranger)), unauthenticated);
    await assert.rejects(verifier().verify(signed(withBond, owner)), unauthenticated);
    await assert.rejects(verifier(bondOf(stranger, [])).verify(signed(withBond, owner)), unauthenticated);
    await assert.rejects(
      verifier(bondOf(owner, [session], 1)).verify(signed(withBond, owner)),
      unauthenticated,
    );
  });

  it("cannot be a stranger whom someone listed on a bond of their own", async () => {
    const trap = bondOf(stranger, [owner, session]);
    const forged = signed({ ...terms, bond: 7n }, session);
    await assert.rejects(verifier(trap).verify(forged), unauthenticated);
    await assert.rejects(verifier(trap).verify(signed({ ...terms, bond: 7n }, stranger)), unauthenticated);
  });

  it("is checked again on every request for all that can change", async () => {
    const revoked: Bytes32[] = [];
    const one = verifier(undefined, revoked);
    const grant = signed(terms, owner);
    await one.verify(grant);
    revoked.push(grantDigest(domain, terms));
    await assert.rejects(one.verify(grant), unauthenticated);
  });
});
