import assert from "node:assert/strict";
import { isGitdError } from "../../server/domain/errors.ts";
import { type Oid, zeroOid } from "../../server/domain/ids.ts";
import type { Ledger, PushCommit, Repository } from "../../server/ledger/port.ts";
import { accounts, applied, bytes32, cid, newRepository, nextPush, oid } from "./ledger-rows.ts";

/** A ledger of its own for one test; `again` opens the same rows once more, as another process would. */
export interface OpenedLedger extends AsyncDisposable {
  readonly ledger: Ledger;
  /** What `ledger-child.ts` opens it by. */
  readonly address: readonly [kind: "sqlite" | "postgres", place: string];
  /** Takes off what protects Receipts, as someone with the database's password could. */
  readonly unprotect: string;
  /** Runs SQL beside the ledger. */
  run(statement: string): Promise<void>;
  again(): Promise<Ledger>;
}

export type OpenLedger = () => Promise<OpenedLedger>;

export const now = 1_800_000_000n;

export async function failsWith(code: string, act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => isGitdError(error) && error.code === code);
}

export async function commits(ledger: Ledger, push: PushCommit): Promise<Repository> {
  const outcome = await ledger.commitPush(push);
  assert.equal(outcome.kind, "committed");
  assert.ok(outcome.kind === "committed");
  return outcome.repository;
}

/** Repositories, their refs and their Pushes. */
export function repositoryLaws(open: OpenLedger): void {
  let opened: OpenedLedger;
  let ledger: Ledger;
  let repository: Repository;

  beforeEach(async () => {
    opened = await open();
    ledger = opened.ledger;
    await ledger.migrate();
    repository = await ledger.createRepository(newRepository("one"), now);
  });
  afterEach(() => opened[Symbol.asyncDispose]());

  it("finds a repository by its path and by its id", async () => {
    assert.deepEqual(await ledger.repository(repository.path), repository);
    assert.deepEqual(await ledger.repositoryById(repository.id), repository);
    assert.equal(await ledger.repositoryVersion(repository.id), 0n);
    const other = newRepository("two", accounts.writer);
    assert.equal(await ledger.repository(other.path), undefined);
    await ledger.createRepository(other, now);
    assert.deepEqual(await ledger.repositoriesOf(accounts.owner, 10), [repository]);
  });

  it("refuses a second repository at the same path", async () => {
    await failsWith("conflict", () => ledger.createRepository(newRepository("one"), now));
    assert.deepEqual(await ledger.repository(repository.path), repository);
  });

  it("makes a new version for a new HEAD, but none for a policy or a price", async () => {
    const priced = await ledger.configure(repository.id, {
      policy: "open",
      price: { perCall: 1n, perGib: 2n },
    });
    assert.deepEqual(priced, { ...repository, policy: "open", price: { perCall: 1n, perGib: 2n } });
    const turned = await ledger.configure(repository.id, { head: "refs/heads/next" });
    assert.deepEqual(turned, { ...priced, head: "refs/heads/next", version: 1n });
    assert.deepEqual(await ledger.repository(repository.path), turned);
  });

  it("changes everything that a Push changes", async () => {
    const push = { ...nextPush(repository, ["refs/heads/b", "refs/heads/a"]), head: "refs/heads/a" };
    const after = await commits(ledger, push);
    const expected = { version: 1n, seq: 1n, chainHead: push.chainHead, manifest: push.manifest };
    assert.deepEqual(after, { ...repository, ...expected, head: "refs/heads/a" });
    assert.deepEqual(await ledger.repositoryById(repository.id), after);
    assert.deepEqual(
      await ledger.refs(repository.id),
      [...applied(new Map(), push)].map(([name, to]) => ({ name, oid: to })).reverse(),
    );
    assert.deepEqual(await ledger.packs(repository.id), [push.pack]);
    const { head: _, pack: __, ...stated } = push;
    const row = { ...stated, version: 1n, state: "queued", transaction: null, block: null };
    assert.deepEqual(await ledger.pushes(repository.id, { limit: 10 }), [row]);
  });

  it("moves, peels and removes refs, and sorts their names by bytes", async () => {
    const names = ["refs/heads/z", "refs/heads/Z", "refs/heads/ä", "refs/heads/a-b", "refs/heads/a/b"];
    const first = nextPush(repository, names);
    let current = await commits(ledger, first);
    assert.deepEqual(
      (await ledger.refs(repository.id)).map(({ name }) => name),
      ["refs/heads/Z", "refs/heads/a-b", "refs/heads/a/b", "refs/heads/z", "refs/heads/ä"],
    );
    const peeled = oid("peeled");
    const at = applied(new Map(), first);
    const second = nextPush(current, [...names.slice(0, 3), "refs/tags/v1"], at);
    const [moved, gone, kept, tag] = second.updates;
    assert.ok(moved && gone && kept && tag);
    const updates = [
      moved,
      { ...gone, new: zeroOid("sha1") },
      { ...kept, new: kept.old },
      { ...tag, peeled },
    ];
    current = await commits(ledger, { ...second, updates });
    const now_ = new Map((await ledger.refs(repository.id)).map((ref) => [ref.name, ref]));
    assert.equal(now_.size, 5);
    assert.equal(now_.get(moved.ref)?.oid, moved.new);
    assert.equal(now_.get(kept.ref)?.oid, kept.old);
    assert.deepEqual(now_.get("refs/tags/v1"), { name: "refs/tags/v1", oid: tag.new, peeled });
  });

  it("refuses a Push from an old version, seq or chain head, and changes nothing", async () => {
    const first = nextPush(repository, ["refs/heads/main"]);
    const current = await commits(ledger, first);
    const good = nextPush(current, ["refs/heads/other"]);
    const wrong = [{ version: 0n }, { version: 2n }, { seq: 1n }, { seq: 3n }, { previous: bytes32("no") }];
    for (const facts of wrong) {
      assert.deepEqual(await ledger.commitPush({ ...good, ...facts }), { kind: "stale" });
    }
    assert.deepEqual(await ledger.repositoryById(repository.id), current);
    assert.equal((await ledger.refs(repository.id)).length, 1);
    await commits(ledger, good);
  });

  it("names the refs that moved, and changes nothing", async () => {
    const first = nextPush(repository, ["refs/heads/a", "refs/heads/b"]);
    const current = await commits(ledger, first);
    const at = applied(new Map(), first);
    const late = nextPush(
      current,
      ["refs/heads/a", "refs/heads/b", "refs/heads/c"],
      new Map([...at].slice(1)),
    );
    assert.deepEqual(await ledger.commitPush(late), { kind: "ref-moved", refs: ["refs/heads/a"] });
    const gone = nextPush(current, ["refs/heads/c"], new Map([["refs/heads/c", oid("never")]]));
    assert.deepEqual(await ledger.commitPush({ ...gone, version: 0n }), {
      kind: "ref-moved",
      refs: ["refs/heads/c"],
    });
    assert.deepEqual(await ledger.repositoryById(repository.id), current);
  });

  it("tells the updates after a version, oldest first", async () => {
    let current = repository;
    let at: ReadonlyMap<string, Oid> = new Map();
    const made: PushCommit[] = [];
    for (const ref of ["refs/heads/a", "refs/heads/b", "refs/heads/a"]) {
      const push = nextPush(current, [ref], at);
      current = await commits(ledger, push);
      at = applied(at, push);
      made.push(push);
    }
    const updates = made.flatMap((push) => push.updates);
    assert.deepEqual(await ledger.updatesSince(repository.id, 0n), updates);
    assert.deepEqual(await ledger.updatesSince(repository.id, 1n), updates.slice(1));
    assert.deepEqual(await ledger.updatesSince(repository.id, 3n), []);
    const seqs = async (options: Parameters<Ledger["pushes"]>[1]): Promise<bigint[]> =>
      (await ledger.pushes(repository.id, options)).map(({ seq }) => seq);
    assert.deepEqual(await seqs({ limit: 2 }), [3n, 2n]);
    assert.deepEqual(await seqs({ beforeSeq: 3n, limit: 5 }), [2n, 1n]);
    assert.deepEqual(await seqs({ afterSeq: 1n, limit: 1 }), [2n]);
  });

  it("lets one of eight writers win each ref, and loses none of the rest", async () => {
    const ledgers = [ledger, await opened.again()];
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, at) => race(ledgers[at % 2] as Ledger, repository, `w${at}`)),
    );
    await ledgers[1]?.[Symbol.asyncDispose]();
    assert.equal(outcomes.filter(({ shared }) => shared).length, 1);
    assert.ok(outcomes.every(({ own }) => own));
    const after = await ledger.repositoryById(repository.id);
    const rows = await ledger.pushes(repository.id, { afterSeq: 0n, limit: 100 });
    assert.deepEqual(
      rows.map(({ seq }) => seq),
      Array.from({ length: 9 }, (_, at) => BigInt(at + 1)),
    );
    assert.equal(after?.version, 9n);
    let head = repository.chainHead;
    for (const row of rows) {
      assert.equal(row.previous, head);
      head = row.chainHead;
    }
    assert.equal(after?.chainHead, head);
    assert.equal((await ledger.refs(repository.id)).length, 9);
  });

  it("keeps 50,000 refs, and one Push beside them is quick", async () => {
    const names = Array.from({ length: 50_000 }, (_, at) => `refs/heads/${String(at).padStart(6, "0")}`);
    const push = nextPush(repository, names);
    const current = await commits(ledger, push);
    const refs = await ledger.refs(repository.id);
    assert.equal(refs.length, 50_000);
    assert.deepEqual(refs[49_999], { name: names[49_999], oid: push.updates[49_999]?.new });
    const startedAt = performance.now();
    await commits(ledger, nextPush(current, ["refs/heads/new"]));
    assert.ok(performance.now() - startedAt < 2_000);
  }).timeout(60_000);

  it("knows which repositories a Cid belongs to", async () => {
    const push = { ...nextPush(repository, ["refs/heads/main"]), blocks: [cid("tree page")] };
    await commits(ledger, push);
    const other = await ledger.createRepository(newRepository("two"), now);
    const page = cid("page");
    await ledger.noteBlocks(repository.id, [page, cid("other page")]);
    await ledger.noteBlocks(repository.id, [page]);
    await ledger.noteBlocks(other.id, [page]);
    assert.deepEqual((await ledger.repositoriesHolding(page)).sort(), [repository.id, other.id].sort());
    for (const mine of [push.record, push.manifest, push.pack?.cid ?? page, cid("tree page")]) {
      assert.ok((await ledger.repositoriesHolding(mine)).includes(repository.id));
    }
    assert.deepEqual(await ledger.repositoriesHolding(cid("nobody's")), []);
  });

  it("keeps writers and owners of namespaces", async () => {
    await ledger.setWriter(repository.id, accounts.writer, true);
    await ledger.setWriter(repository.id, accounts.writer, true);
    await ledger.setWriter(repository.id, accounts.reader, true);
    assert.deepEqual(await ledger.writers(repository.id), [accounts.writer, accounts.reader]);
    await ledger.setWriter(repository.id, accounts.writer, false);
    assert.equal(await ledger.isWriter(repository.id, accounts.writer), false);
    assert.equal(await ledger.isWriter(repository.id, accounts.reader), true);
    assert.equal(await ledger.namespaceOwner("acme"), undefined);
    await ledger.setNamespaceOwner("acme", accounts.owner);
    await ledger.setNamespaceOwner("acme", accounts.writer);
    assert.equal(await ledger.namespaceOwner("acme"), accounts.writer);
  });
}

/** Pushes to a ref of its own until that is in, and to the shared ref as long as nobody else has it. */
export async function race(
  ledger: Ledger,
  { id }: Repository,
  writer: string,
): Promise<{ own: boolean; shared: boolean }> {
  const done = { own: false, shared: false };
  let open: ("own" | "shared")[] = ["shared", "own"];
  for (let attempt = 0; attempt < 500 && open.length > 0; attempt += 1) {
    const [which] = open;
    const current = await ledger.repositoryById(id);
    assert.ok(current && which);
    const ref = which === "own" ? `refs/heads/${writer}` : "refs/heads/shared";
    const outcome = await ledger.commitPush(nextPush(current, [ref], new Map(), writer));
    if (outcome.kind === "stale") continue;
    if (outcome.kind === "committed") done[which] = true;
    open = open.slice(1);
  }
  return done;
}
