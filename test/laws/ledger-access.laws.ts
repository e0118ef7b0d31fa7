import assert from "node:assert/strict";
import { type Bond, type HoldTerms, admit, quotaPeriodSeconds } from "../../server/domain/bond.ts";
import { isGitdError } from "../../server/domain/errors.ts";
import type { Bytes32, RepoId } from "../../server/domain/ids.ts";
import type { HoldRequest, Ledger } from "../../server/ledger/port.ts";
import { type OpenLedger, type OpenedLedger, failsWith, now } from "./ledger.laws.ts";
import { accounts, bytes32, newBond, receiptFor } from "./ledger-rows.ts";

const repo = bytes32("a repository") as RepoId;
const grant = bytes32("a grant");
const ample = { bytes: 1_000n, bytesLeast: 1_000n, price: { perCall: 10n, perGib: 0n }, grantCap: 1n << 60n };

/** Bonds, Holds and Receipts. */
export function accessLaws(open: OpenLedger): void {
  let opened: OpenedLedger;
  let ledger: Ledger;

  beforeEach(async () => {
    opened = await open();
    ledger = opened.ledger;
    await ledger.migrate();
  });
  afterEach(() => opened[Symbol.asyncDispose]());

  function ask(id: string, facts: Partial<HoldRequest> & { ask?: Partial<typeof ample> } = {}): HoldRequest {
    const { ask: wanted, ...request } = facts;
    return {
      id,
      grant,
      bond: 7n,
      repo,
      nowSeconds: now,
      expiresAtSeconds: now + 60n,
      decide: (...state) => admit(...state, { ...ample, ...wanted }),
      ...request,
    };
  }

  function receipt(id: string, used: HoldTerms, by: Bytes32 = grant) {
    return receiptFor({ id, grant: by, bond: 7n, repo, account: accounts.reader }, used);
  }

  it("keeps what the chain says of a Bond, numbers wider than 64 bits too", async () => {
    const bond: Bond = newBond(7n, { weight: 1n << 90n, signers: [accounts.writer], epoch: 3, thawing: 5n });
    await ledger.putBond(newBond(7n));
    await ledger.hold(ask("before"));
    await ledger.putBond(bond);
    assert.deepEqual(await ledger.bond(7n), bond);
    assert.deepEqual(await ledger.bondsOf(accounts.reader), [bond]);
    assert.equal(await ledger.bond(8n), undefined);
    assert.equal((await ledger.usage(7n, grant, now)).calls, 1n);
    await ledger.putBond(newBond(9n, { quotaBytes: 1n << 80n }));
    assert.equal((await ledger.bond(9n))?.quotaBytes, (1n << 63n) - 1n);
    await failsWith("invalid", () => ledger.putBond(newBond(1n << 64n)));
  });

  it("never oversells calls, bytes, credit or cap to 200 that ask at once", async () => {
    const other = await opened.again();
    const limits: [string, Partial<Bond>, Partial<typeof ample>, string][] = [
      ["calls", { quotaCalls: 21n }, {}, "quota-exhausted"],
      ["bytes", { quotaBytes: 21_999n }, {}, "quota-exhausted"],
      ["credit", { deposit: 300n, thawing: 85n }, {}, "credit-exhausted"],
      ["cap", {}, { grantCap: 219n }, "cap-exceeded"],
    ];
    for (const [at, [name, bond, wanted, refusal]] of limits.entries()) {
      const id = BigInt(at + 100);
      const by = bytes32(`grant ${name}`);
      await ledger.putBond(newBond(id, bond));
      const asked = await Promise.allSettled(
        Array.from({ length: 200 }, (_, n) =>
          (n % 2 === 0 ? ledger : other).hold(ask(`${name}-${n}`, { bond: id, grant: by, ask: wanted })),
        ),
      );
      assert.equal(asked.filter(({ status }) => status === "fulfilled").length, 21, name);
      for (const one of asked) {
        assert.ok(one.status === "fulfilled" || isGitdError(one.reason, refusal as "quota-exhausted"), name);
      }
      const used = { calls: 21n, bytes: 21_000n, unsettled: 210n, grantCharged: 210n };
      assert.deepEqual(await ledger.usage(id, by, now), used);
    }
    await other[Symbol.asyncDispose]();
  });

  it("refuses an unknown Bond, and takes nothing when refused", async () => {
    await failsWith("bond-required", () => ledger.hold(ask("a", { bond: 99n })));
    await ledger.putBond(newBond(7n, { quotaCalls: 0n }));
    await failsWith("quota-exhausted", () => ledger.hold(ask("b")));
    const nothing = { calls: 0n, bytes: 0n, unsettled: 0n, grantCharged: 0n };
    assert.deepEqual(await ledger.usage(7n, grant, now), nothing);
  });

  it("holds once for the same id, and tells how many Holds are open", async () => {
    await ledger.putBond(newBond(7n));
    const terms = await Promise.all(Array.from({ length: 20 }, () => ledger.hold(ask("same"))));
    for (const one of terms) assert.deepEqual(one, { bytes: 1_000n, amount: 10n });
    assert.equal((await ledger.usage(7n, grant, now)).calls, 1n);
    let seen = -1;
    const decide: HoldRequest["decide"] = (...state) => {
      seen = state[2];
      return admit(...state, ample);
    };
    await ledger.hold(ask("next", { decide }));
    assert.equal(seen, 1);
    await failsWith("conflict", () => ledger.hold(ask("same", { grant: bytes32("another") })));
  });

  it("posts once, and gives back what was not used", async () => {
    await ledger.putBond(newBond(7n));
    await ledger.hold(ask("a"));
    const used = receipt("a", { bytes: 400n, amount: 7n });
    await Promise.all(Array.from({ length: 20 }, () => ledger.post("a", used)));
    const after = { calls: 1n, bytes: 400n, unsettled: 7n, grantCharged: 7n };
    assert.deepEqual(await ledger.usage(7n, grant, now), after);
    await ledger.voidHold("a");
    assert.equal(await ledger.expireHolds(now + 1_000n), 0);
    assert.deepEqual(await ledger.usage(7n, grant, now), after);
    assert.deepEqual(await ledger.receipts({ limit: 10 }), [used]);
  });

  it("refuses a Receipt beyond its Hold or of another access, and keeps the Hold open", async () => {
    await ledger.putBond(newBond(7n));
    await ledger.hold(ask("a"));
    const good = receipt("a", { bytes: 1_000n, amount: 10n });
    const wrong = [{ charged: 11n }, { bytesSent: 1_001n }, { charged: -1n }, { bond: 8n }, { grant: null }];
    for (const facts of wrong) await failsWith("invalid", () => ledger.post("a", { ...good, ...facts }));
    await failsWith("not-found", () => ledger.post("b", good));
    assert.deepEqual(await ledger.receipts({ limit: 10 }), []);
    await ledger.post("a", good);
  });

  it("gives a Hold back once, whether dropped or expired, and refuses to post it then", async () => {
    await ledger.putBond(newBond(7n));
    for (const id of ["a", "b", "c"]) await ledger.hold(ask(id));
    await ledger.hold(ask("later", { expiresAtSeconds: now + 100n }));
    await Promise.all([ledger.voidHold("a"), ledger.voidHold("a"), ledger.voidHold("unknown")]);
    const expired = await Promise.all([ledger.expireHolds(now + 60n), ledger.expireHolds(now + 60n)]);
    assert.equal(expired[0] + expired[1], 2);
    const left = { calls: 1n, bytes: 1_000n, unsettled: 10n, grantCharged: 10n };
    assert.deepEqual(await ledger.usage(7n, grant, now), left);
    await failsWith("conflict", () => ledger.post("b", receipt("b", { bytes: 1n, amount: 1n })));
    assert.deepEqual(await ledger.usage(7n, grant, now), left);
  });

  it("counts quota by period, and what is owed over all of them", async () => {
    await ledger.putBond(newBond(7n, { quotaCalls: 1n }));
    const later = now + quotaPeriodSeconds;
    await ledger.hold(ask("old"));
    await failsWith("quota-exhausted", () => ledger.hold(ask("too many")));
    await ledger.hold(ask("new", { nowSeconds: later }));
    assert.deepEqual(await ledger.usage(7n, null, later), {
      calls: 1n,
      bytes: 1_000n,
      unsettled: 20n,
      grantCharged: 0n,
    });
    await ledger.voidHold("old");
    assert.equal((await ledger.usage(7n, null, later)).calls, 1n);
    assert.equal((await ledger.usage(7n, null, later)).unsettled, 10n);
    await failsWith("quota-exhausted", () => ledger.hold(ask("late clock", { nowSeconds: now })));
    assert.equal((await ledger.usage(7n, null, later + quotaPeriodSeconds)).calls, 0n);
  });

  it("lists Receipts of an account or a repository, the newest first", async () => {
    const free = (id: string, facts: object) =>
      ledger.recordFreeRead({
        ...receiptFor(
          { id, grant: null, bond: 0n, repo, account: accounts.reader },
          { bytes: 5n, amount: 0n },
        ),
        ...facts,
      });
    await free("1", {});
    await free("1", {});
    await free("2", { account: null, complete: false });
    await free("3", { repo: bytes32("elsewhere") });
    const ids = async (filter: object): Promise<string[]> =>
      (await ledger.receipts({ limit: 10, ...filter })).map(({ id }) => id);
    assert.deepEqual(await ids({}), ["3", "2", "1"]);
    assert.deepEqual(await ids({ limit: 1 }), ["3"]);
    assert.deepEqual(await ids({ account: accounts.reader }), ["3", "1"]);
    assert.deepEqual(await ids({ repo }), ["2", "1"]);
    assert.equal((await ledger.receipts({ repo, limit: 1 }))[0]?.complete, false);
  });

  it("links every Receipt into one chain, written through two doors", async () => {
    const other = await opened.again();
    const access = { grant: null, bond: 0n, repo, account: null };
    await Promise.all(
      Array.from({ length: 1_200 }, (_, at) =>
        (at % 2 === 0 ? ledger : other).recordFreeRead(
          receiptFor({ ...access, id: `r${at}` }, { bytes: 1n, amount: 0n }),
        ),
      ),
    );
    const [mine, theirs] = await Promise.all([ledger.verifyReceipts(), other.verifyReceipts()]);
    assert.equal((await ledger.verifyReceipts()).count, 1_200n);
    assert.ok(mine.count <= 1_200n && theirs.count <= 1_200n);
    assert.deepEqual(await ledger.verifyReceipts(), await other.verifyReceipts());
    await other[Symbol.asyncDispose]();
  });

  it("refuses to change Receipts, and notices if they were changed nevertheless", async () => {
    const access = { grant: null, bond: 0n, repo, account: null };
    for (const id of ["1", "2", "3"]) {
      await ledger.recordFreeRead(receiptFor({ ...access, id }, { bytes: 1n, amount: 0n }));
    }
    const { count } = await ledger.verifyReceipts();
    assert.equal(count, 3n);
    for (const table of ["receipts", "receipt_chain"]) {
      await assert.rejects(opened.run(`delete from ${table}`), /insert-only/);
    }
    await assert.rejects(opened.run("update receipts set charged = 9 where id = '2'"), /insert-only/);
    await assert.rejects(opened.run("update receipt_chain set number = 9"), /insert-only/);
    await opened.run(opened.unprotect);
    await opened.run("update receipts set charged = 9 where id = '2'");
    await failsWith("content-mismatch", () => ledger.verifyReceipts());
  });

  it("remembers revoked Grants", async () => {
    assert.equal(await ledger.isGrantRevoked(grant), false);
    await ledger.revokeGrant(grant, now);
    await ledger.revokeGrant(grant, now + 1n);
    assert.equal(await ledger.isGrantRevoked(grant), true);
  });
}
