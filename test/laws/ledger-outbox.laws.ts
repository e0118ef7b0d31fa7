import assert from "node:assert/strict";
import type { Oid } from "../../server/domain/ids.ts";
import type { Ledger, Repository } from "../../server/ledger/port.ts";
import { type OpenLedger, type OpenedLedger, commits, failsWith, now } from "./ledger.laws.ts";
import { applied, bytes32, newRepository, nextPush } from "./ledger-rows.ts";

/** The way of Pushes to the chain, schema and lead. */
export function outboxLaws(open: OpenLedger): void {
  let opened: OpenedLedger;
  let ledger: Ledger;
  let one: Repository;
  let two: Repository;

  beforeEach(async () => {
    opened = await open();
    ledger = opened.ledger;
    await ledger.migrate();
    one = await ledger.createRepository(newRepository("one"), now);
    two = await ledger.createRepository(newRepository("two"), now);
    let at: ReadonlyMap<string, Oid> = new Map();
    for (let seq = 1; seq <= 4; seq += 1) {
      const push = nextPush(one, ["refs/heads/main"], at);
      one = await commits(ledger, push);
      at = applied(at, push);
      if (seq === 2) two = await commits(ledger, nextPush(two, ["refs/heads/main"]));
    }
  });
  afterEach(() => opened[Symbol.asyncDispose]());

  const queue = async (limit = 100): Promise<[string, bigint][]> =>
    (await ledger.queuedPushes(limit)).map(({ repo, seq }) => [repo === one.id ? "one" : "two", seq]);

  const batch = (name: string, pushes: [Repository, bigint][], nonce = 0n) => ({
    transaction: bytes32(name),
    raw: `0x${name}`,
    nonce,
    pushes: pushes.map(([{ id }, seq]) => ({ repo: id, seq })),
  });

  it("queues Pushes in the order they came", async () => {
    const all = [
      ["one", 1n],
      ["one", 2n],
      ["two", 1n],
      ["one", 3n],
      ["one", 4n],
    ];
    assert.deepEqual(await queue(), all);
    assert.deepEqual(await queue(2), all.slice(0, 2));
    assert.equal(await ledger.queueDepth(), 5);
  });

  it("freezes each Push in one batch only", async () => {
    const first = batch("aa", [
      [one, 1n],
      [one, 2n],
    ]);
    const frozen = await ledger.freezeBatch(first);
    assert.deepEqual(await ledger.openBatches(), [{ ...first, id: frozen.id }]);
    assert.equal((await ledger.pushes(one.id, { afterSeq: 0n, limit: 1 }))[0]?.state, "sent");
    const overlapping = batch("bb", [
      [one, 3n],
      [one, 2n],
    ]);
    await failsWith("conflict", () => ledger.freezeBatch(overlapping));
    await failsWith("conflict", () => ledger.freezeBatch(batch("aa", [[one, 3n]])));
    await failsWith("conflict", () => ledger.freezeBatch(batch("cc", [[one, 9n]])));
    assert.equal((await ledger.openBatches()).length, 1);
    assert.equal(await ledger.queueDepth(), 3);
    const other = await opened.again();
    const race = await Promise.allSettled([
      ledger.freezeBatch(batch("dd", [[one, 3n]])),
      other.freezeBatch(batch("ee", [[one, 3n]])),
    ]);
    await other[Symbol.asyncDispose]();
    assert.equal(race.filter(({ status }) => status === "fulfilled").length, 1);
  });

  it("settles a batch: what was recorded stays so, the rest is queued again", async () => {
    const { id } = await ledger.freezeBatch(
      batch("aa", [
        [one, 1n],
        [one, 2n],
        [one, 3n],
      ]),
    );
    await ledger.markRecorded(one.id, 1n, bytes32("aa"), 10n);
    await ledger.markRecorded(one.id, 1n, bytes32("aa"), 10n);
    await ledger.closeBatch(id);
    await ledger.closeBatch(id);
    assert.deepEqual(await ledger.openBatches(), []);
    assert.deepEqual(await queue(), [
      ["one", 2n],
      ["two", 1n],
      ["one", 3n],
      ["one", 4n],
    ]);
    const [row] = await ledger.pushes(one.id, { afterSeq: 0n, limit: 1 });
    assert.deepEqual([row?.state, row?.transaction, row?.block], ["recorded", bytes32("aa"), 10n]);
  });

  it("hands out only Pushes that follow one another", async () => {
    const { id } = await ledger.freezeBatch(batch("aa", [[one, 1n]]));
    await ledger.freezeBatch(batch("bb", [[one, 2n]], 1n));
    await ledger.closeBatch(id);
    assert.deepEqual(await queue(), [
      ["one", 1n],
      ["two", 1n],
    ]);
  });

  it("queues again what the chain lost, of that repository and after that seq only", async () => {
    await ledger.freezeBatch(batch("aa", [[one, 1n], [one, 2n], [one, 3n], [two, 1n]])); // prettier-ignore
    for (const seq of [1n, 2n]) await ledger.markRecorded(one.id, seq, bytes32("aa"), 10n);
    await ledger.markRecorded(two.id, 1n, bytes32("aa"), 11n);
    assert.deepEqual(await ledger.recordedSince(11n), [two.id]);
    assert.equal((await ledger.recordedSince(10n)).length, 2);
    assert.equal(await ledger.requeueAfter(one.id, 1n), 2);
    assert.equal(await ledger.requeueAfter(one.id, 1n), 0);
    assert.deepEqual(await queue(), [
      ["one", 2n],
      ["one", 3n],
      ["one", 4n],
    ]);
    const [row] = await ledger.pushes(one.id, { afterSeq: 1n, limit: 1 });
    assert.deepEqual([row?.state, row?.transaction, row?.block], ["queued", null, null]);
    assert.equal((await ledger.pushes(one.id, { afterSeq: 0n, limit: 1 }))[0]?.state, "recorded");
  });

  it("forgets blocks of a history that did not last", async () => {
    assert.equal(await ledger.cursor(), undefined);
    for (const block of [1n, 2n, 3n]) await ledger.setCursor({ block, hash: bytes32(`a${block}`) });
    assert.deepEqual(await ledger.cursor(), { block: 3n, hash: bytes32("a3") });
    await ledger.setCursor({ block: 2n, hash: bytes32("b2") });
    assert.deepEqual(await ledger.cursor(), { block: 2n, hash: bytes32("b2") });
    assert.equal(await ledger.blockHashAt(1n), bytes32("a1"));
    assert.equal(await ledger.blockHashAt(3n), undefined);
  });

  it("keeps signed transactions in the order of the chain", async () => {
    await ledger.keepRawTransactions(2n, ["0x03"]);
    await ledger.keepRawTransactions(1n, ["0x02", "0x01"]);
    await ledger.keepRawTransactions(2n, ["0x04", "0x05"]);
    await ledger.keepRawTransactions(3n, []);
    assert.deepEqual(await ledger.rawTransactionsFrom(1n), ["0x02", "0x01", "0x04", "0x05"]);
    assert.deepEqual(await ledger.rawTransactionsFrom(2n), ["0x04", "0x05"]);
  });

  it("is migrated once, by however many at once, and keeps its rows", async () => {
    const other = await opened.again();
    await Promise.all([ledger.migrate(), other.migrate(), ledger.migrate()]);
    await other.ready();
    assert.deepEqual(await other.repositoryById(one.id), one);
    await other[Symbol.asyncDispose]();
  });

  it("refuses rows that a newer program wrote", async () => {
    await ledger.ready();
    await opened.run("insert into schema_version (number, name) values (999, 'future')");
    await failsWith("unavailable", () => ledger.migrate());
    await failsWith("unavailable", () => ledger.ready());
  });

  it("lets one lead at a time, and the next when it is done", async () => {
    const other = await opened.again();
    const signal = AbortSignal.timeout(10_000);
    const first = await ledger.lead("keeper", { signal });
    const impatient = AbortSignal.timeout(300);
    await assert.rejects(() => other.lead("keeper", { signal: impatient }), {
      name: /AbortError|TimeoutError/,
    });
    await using elsewhere = await other.lead("indexer", { signal });
    const waiting = other.lead("keeper", { signal });
    await first[Symbol.asyncDispose]();
    await using second = await waiting;
    assert.equal(second.lost.aborted || elsewhere.lost.aborted, false);
    await other[Symbol.asyncDispose]();
  });
}
