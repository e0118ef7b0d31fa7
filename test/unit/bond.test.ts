import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Ask,
  type Bond,
  type Usage,
  admit,
  formatCodex,
  parseCodex,
  priceUp,
} from "../../server/domain/bond.ts";
import { type ErrorCode, isGitdError } from "../../server/domain/errors.ts";
import type { Address, Bytes32 } from "../../server/domain/ids.ts";

const bond: Bond = {
  id: 7n,
  owner: `0x${"11".repeat(20)}` as Address,
  pool: `0x${"00".repeat(32)}` as Bytes32,
  deposit: 1_000_000n,
  thawing: 0n,
  lockEnd: 0n,
  epoch: 0,
  quotaCalls: 100n,
  quotaBytes: 1000n,
  weight: 0n,
  signers: [],
};
const unused: Usage = { calls: 0n, bytes: 0n, unsettled: 0n, grantCharged: 0n };
const ask: Ask = { bytes: 500n, bytesLeast: 500n, price: { perCall: 10n, perGib: 0n }, grantCap: 1_000_000n };

const refusedWith = (code: ErrorCode) => (error: unknown) => isGitdError(error, code);

describe("admission by a Bond", () => {
  it("holds the bytes and the price asked for", () => {
    assert.deepEqual(admit(bond, unused, 0, ask), { bytes: 500n, amount: 10n });
  });

  it("holds what is left when a part will do", () => {
    const terms = admit(bond, { ...unused, bytes: 900n }, 0, { ...ask, bytesLeast: 0n });
    assert.deepEqual(terms, { bytes: 100n, amount: 10n });
  });

  it("names the limit that stands in the way", () => {
    const cases: [ErrorCode, Partial<Usage>, number, Partial<Ask>][] = [
      ["quota-exhausted", { calls: 100n }, 0, {}],
      ["quota-exhausted", { bytes: 501n }, 0, {}],
      ["quota-exhausted", { bytes: 1000n }, 0, { bytesLeast: 0n }],
      ["credit-exhausted", { unsettled: 999_991n }, 0, {}],
      ["cap-exceeded", { grantCharged: 999_991n }, 0, {}],
      ["rate-limited", {}, 64, {}],
    ];
    for (const [code, usage, holds, change] of cases) {
      assert.throws(
        () => admit(bond, { ...unused, ...usage }, holds, { ...ask, ...change }),
        refusedWith(code),
        code,
      );
    }
  });

  it("counts a deposit that is being taken out as gone", () => {
    assert.throws(
      () => admit({ ...bond, thawing: 999_995n }, unused, 0, ask),
      refusedWith("credit-exhausted"),
    );
  });

  it("never holds more than quota, credit or cap", () => {
    const amount = fc.bigInt(0n, 2000n);
    fc.assert(
      fc.property(amount, amount, amount, amount, amount, (bytes, used, unsettled, charged, cap) => {
        const usage = { calls: 0n, bytes: used, unsettled, grantCharged: charged };
        const small = { ...bond, deposit: 1500n };
        try {
          const terms = admit(small, usage, 0, {
            bytes,
            bytesLeast: 0n,
            price: { perCall: 1n, perGib: 1n << 30n },
            grantCap: cap,
          });
          assert.ok(used + terms.bytes <= small.quotaBytes);
          assert.ok(unsettled + terms.amount <= small.deposit);
          assert.ok(charged + terms.amount <= cap);
        } catch (error) {
          if (!isGitdError(error)) throw error;
        }
      }),
    );
  });
});

describe("prices", () => {
  it("round up once for an access", () => {
    assert.equal(priceUp({ perCall: 5n, perGib: 1000n }, 1n), 6n);
    assert.equal(priceUp({ perCall: 5n, perGib: 1000n }, 0n), 5n);
    assert.equal(priceUp({ perCall: 0n, perGib: 1000n }, 1n << 30n), 1000n);
  });

  it("are read and written as decimal CODEX", () => {
    fc.assert(fc.property(fc.bigInt(0n, 10n ** 18n), (micro) => parseCodex(formatCodex(micro)) === micro));
    assert.equal(formatCodex(2_500_000n), "2.5");
    for (const text of ["", "-1", "1e3", "0x10", "1.0000001", "1,5"]) {
      assert.throws(() => parseCodex(text), refusedWith("invalid"), text);
    }
  });
});
