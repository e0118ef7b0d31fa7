import assert from "node:assert/strict";
import { type Bond, type Usage, gibibyte } from "../../server/domain/bond.ts";
import { type ErrorCode, isGitdError } from "../../server/domain/errors.ts";
import { type Address, type Bytes32, repoIdOf } from "../../server/domain/ids.ts";
import { type Reader, decideRead, termsOfRead } from "../../hooks/pre-upload.ts";
import { receiptOf } from "../../hooks/post-upload.ts";

const stranger: Reader = { isKnown: true, inScope: true, isOwnerOrWriter: false, bond: 0n };
const bond: Bond = {
  id: 7n,
  owner: `0x${"1".repeat(40)}` as Address,
  pool: `0x${"0".repeat(64)}` as Bytes32,
  deposit: 10_000_000n,
  thawing: 0n,
  lockEnd: 0n,
  epoch: 0,
  quotaCalls: 100n,
  quotaBytes: 10n * gibibyte,
  weight: 0n,
  signers: [],
};
const unused: Usage = { calls: 0n, bytes: 0n, unsettled: 0n, grantCharged: 0n };
const price = { perCall: 10n, perGib: 1_000_000n };
const refusedAs =
  (code: ErrorCode) =>
  (error: unknown): boolean =>
    isGitdError(error, code);

describe("a read", () => {
  it("is free in an open repository, whoever asks", () => {
    assert.equal(decideRead("open", "a/b", { ...stranger, isKnown: false, inScope: false }), "free");
  });

  it("is free for owner and writers, metered for others with a bond", () => {
    assert.equal(decideRead("bonded", "a/b", { ...stranger, isOwnerOrWriter: true }), "free");
    assert.equal(decideRead("private", "a/b", { ...stranger, isOwnerOrWriter: true }), "free");
    assert.equal(decideRead("bonded", "a/b", { ...stranger, bond: 7n }), "metered");
  });

  it("is refused with the code that says what is missing", () => {
    const cases: [Parameters<typeof decideRead>[0], Partial<Reader>, ErrorCode][] = [
      ["bonded", { isKnown: false }, "unauthenticated"],
      ["private", { isKnown: false }, "unauthenticated"],
      ["private", {}, "repo-not-found"],
      ["private", { isOwnerOrWriter: true, inScope: false }, "repo-not-found"],
      ["bonded", { inScope: false, bond: 7n }, "forbidden"],
      ["bonded", {}, "bond-required"],
    ];
    for (const [policy, change, code] of cases) {
      assert.throws(() => decideRead(policy, "a/b", { ...stranger, ...change }), refusedAs(code), code);
    }
  });

  it("of a whole repository needs quota and credit for all of it", () => {
    const whole = { bytes: gibibyte, whole: true, price, grantCap: 5_000_000n };
    assert.deepEqual(termsOfRead(bond, unused, 0, whole), { bytes: gibibyte, amount: 1_000_010n });
    const almostUsed = { ...unused, bytes: bond.quotaBytes - gibibyte + 1n };
    assert.throws(() => termsOfRead(bond, almostUsed, 0, whole), refusedAs("quota-exhausted"));
    assert.throws(
      () => termsOfRead(bond, unused, 0, { ...whole, grantCap: 1_000_009n }),
      refusedAs("cap-exceeded"),
    );
    assert.throws(
      () => termsOfRead({ ...bond, deposit: 1_000_009n }, unused, 0, whole),
      refusedAs("credit-exhausted"),
    );
  });

  it("of a part starts with what quota, credit and cap reach for", () => {
    const part = { bytes: 4n * gibibyte, whole: false, price, grantCap: 2_000_010n };
    assert.deepEqual(termsOfRead(bond, unused, 0, part), { bytes: 2n * gibibyte, amount: 2_000_010n });
    assert.throws(() => termsOfRead(bond, unused, 0, { ...part, grantCap: 10n }), refusedAs("cap-exceeded"));
    assert.throws(
      () => termsOfRead({ ...bond, deposit: 10n }, unused, 0, part),
      refusedAs("credit-exhausted"),
    );
    const free = { ...part, price: { perCall: 0n, perGib: 0n }, grantCap: 0n };
    assert.deepEqual(termsOfRead(bond, unused, 0, free), { bytes: 4n * gibibyte, amount: 0n });
  });

  it("is charged by bytes sent, and never more than was held", () => {
    const read = {
      id: "1",
      grant: null,
      bond: 7n,
      account: null,
      repo: repoIdOf({ namespace: "a", name: "b" }),
      operation: "clone" as const,
      bytesSent: 1024n,
      complete: true,
      contentSha256: "",
      time: 1n,
    };
    const terms = { bytes: gibibyte, amount: 1_000_010n };
    assert.equal(receiptOf(read, price, terms).charged, 10n + 1n);
    const past = receiptOf({ ...read, bytesSent: gibibyte + 5n }, price, terms);
    assert.deepEqual([past.bytesSent, past.charged], [gibibyte, terms.amount]);
    assert.equal(receiptOf(read, price, undefined).charged, 0n);
  });
});
