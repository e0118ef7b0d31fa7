import { type Selectable } from "kysely";
import { z } from "zod";
import { GitdError } from "../domain/errors.ts";
import { type Cid, type Oid, type RepoId, isZeroOid } from "../domain/ids.ts";
import type { Contribution } from "../domain/contribution.ts";
import type { Db, Engine } from "./engine.ts";
import type { CommitOutcome, PushCommit, PushRow, RepositoryLedger } from "./port.ts";
import { lockRepository, noteBlocks, toRepository } from "./repositories.ts";
import type { PushColumns, RepositoryRow } from "./tables.ts";

type Update = PushCommit["updates"][number];

/** Refs named in one statement: far below the engines' limits of 32,766 and 65,535 parameters. */
const refsPerStatement = 1_000;

export function pushLedger(engine: Engine): Pick<RepositoryLedger, "commitPush" | "pushes" | "updatesSince"> {
  return {
    commitPush: async (push) => {
      refuseRepeats(push.updates);
      return engine.write((db) => commitPush(db, engine, push));
    },
    pushes: (id, options) => engine.read((db) => pushes(db, id, options)),
    updatesSince: (id, version) => engine.read((db) => updatesSince(db, id, version)),
  };
}

async function commitPush(db: Db, engine: Engine, push: PushCommit): Promise<CommitOutcome> {
  const before = await lockRepository(db, engine, push.repo);
  const moved = await movedRefs(db, push.repo, push.updates);
  if (moved.length > 0) return { kind: "ref-moved", refs: moved };
  const isNext =
    before.version === push.version && before.seq + 1n === push.seq && before.chain_head === push.previous;
  if (!isNext) return { kind: "stale" };
  await moveRefs(db, push.repo, push.updates);
  const cids: Cid[] = [push.record, push.manifest, ...(push.blocks ?? [])];
  if (push.pack !== undefined) {
    const { checksum, cid, sizeBytes, objects } = push.pack;
    const row = { repo: push.repo, checksum, cid, size_bytes: sizeBytes, objects: BigInt(objects) };
    const insert = db.insertInto("packs").values(row);
    await insert.onConflict((conflict) => conflict.doNothing()).execute();
    cids.push(cid);
  }
  await noteBlocks(db, push.repo, cids);
  const after = {
    ...before,
    version: before.version + 1n,
    seq: push.seq,
    chain_head: push.chainHead,
    manifest: push.manifest,
    head: push.head ?? before.head,
  };
  await insertPush(db, push, after);
  const { version, seq, chain_head, manifest, head } = after;
  await db
    .updateTable("repositories")
    .set({ version, seq, chain_head, manifest, head })
    .where("id", "=", push.repo)
    .execute();
  return { kind: "committed", repository: toRepository(after) };
}

/** The refs that are not where the Push left from. */
async function movedRefs(db: Db, repo: RepoId, updates: readonly Update[]): Promise<string[]> {
  const moved: string[] = [];
  for (const some of inParts(updates)) {
    const names = some.map(({ ref }) => ref);
    const rows = await db
      .selectFrom("refs")
      .select(["name", "oid"])
      .where("repo", "=", repo)
      .where("name", "in", names)
      .execute();
    const now = new Map(rows.map(({ name, oid }) => [name, oid]));
    for (const { ref, old } of some) {
      const expected = isZeroOid(old) ? undefined : old;
      if (now.get(ref) !== expected) moved.push(ref);
    }
  }
  return moved;
}

async function moveRefs(db: Db, repo: RepoId, updates: readonly Update[]): Promise<void> {
  for (const some of inParts(updates)) {
    const gone = some.filter((update) => isZeroOid(update.new)).map(({ ref }) => ref);
    const set = some
      .filter((update) => !isZeroOid(update.new))
      .map((update) => ({ repo, name: update.ref, oid: update.new, peeled: update.peeled ?? null }));
    if (gone.length > 0) {
      await db.deleteFrom("refs").where("repo", "=", repo).where("name", "in", gone).execute();
    }
    if (set.length > 0) {
      const insert = db.insertInto("refs").values(set);
      await insert
        .onConflict((conflict) =>
          conflict.columns(["repo", "name"]).doUpdateSet((row) => ({
            oid: row.ref("excluded.oid"),
            peeled: row.ref("excluded.peeled"),
          })),
        )
        .execute();
    }
  }
}

async function insertPush(db: Db, push: PushCommit, after: RepositoryRow): Promise<void> {
  const insert = db.insertInto("pushes").values({
    repo: push.repo,
    seq: push.seq,
    version: after.version,
    previous: push.previous,
    chain_head: push.chainHead,
    record: push.record,
    manifest: push.manifest,
    contributions_root: push.contributionsRoot,
    pusher: push.pusher,
    time: push.time,
    updates: JSON.stringify(push.updates.map((one) => [one.ref, one.old, one.new, one.peeled ?? null])),
    contributions: JSON.stringify(
      push.contributions.map(({ author, name, escrow, commits }) => [author, name, escrow, commits]),
    ),
    state: "queued",
    batch: null,
    transaction_hash: null,
    block: null,
  });
  await insert.execute();
}

async function pushes(
  db: Db,
  id: RepoId,
  options: Parameters<RepositoryLedger["pushes"]>[1],
): Promise<PushRow[]> {
  const { afterSeq, beforeSeq, limit } = options;
  let query = db.selectFrom("pushes").selectAll().where("repo", "=", id).limit(limit);
  if (afterSeq !== undefined) query = query.where("seq", ">", afterSeq);
  if (beforeSeq !== undefined) query = query.where("seq", "<", beforeSeq);
  const rows = await query.orderBy("seq", afterSeq === undefined ? "desc" : "asc").execute();
  return rows.map(toPush);
}

async function updatesSince(db: Db, id: RepoId, version: bigint): Promise<Update[]> {
  const rows = await db
    .selectFrom("pushes")
    .select("updates")
    .where("repo", "=", id)
    .where("version", ">", version)
    .orderBy("version")
    .execute();
  return rows.flatMap(({ updates }) => toUpdates(updates));
}

export function toPush(row: Selectable<PushColumns>): PushRow {
  return {
    repo: row.repo as RepoId,
    seq: row.seq,
    version: row.version,
    previous: row.previous,
    chainHead: row.chain_head,
    record: row.record,
    manifest: row.manifest,
    contributionsRoot: row.contributions_root,
    pusher: row.pusher,
    time: row.time,
    updates: toUpdates(row.updates),
    contributions: toContributions(row.contributions),
    state: row.state,
    transaction: row.transaction_hash,
    block: row.block,
  };
}

const storedUpdates = z.array(z.tuple([z.string(), z.string(), z.string(), z.string().nullable()]));
const storedContributions = z.array(z.tuple([z.string(), z.string(), z.boolean(), z.number()]));

function toUpdates(json: string): Update[] {
  return storedUpdates.parse(JSON.parse(json)).map(([ref, old, target, peeled]) => ({
    ref,
    old: old as Oid,
    new: target as Oid,
    ...(peeled === null ? {} : { peeled: peeled as Oid }),
  }));
}

function toContributions(json: string): Contribution[] {
  return storedContributions.parse(JSON.parse(json)).map(([author, name, escrow, commits]) => ({
    author: author as Contribution["author"],
    name,
    escrow,
    commits,
  }));
}

function refuseRepeats(updates: readonly Update[]): void {
  const names = new Set(updates.map(({ ref }) => ref));
  if (names.size !== updates.length) throw new GitdError("invalid", "a push may name each ref only once");
}

function* inParts(updates: readonly Update[]): Generator<readonly Update[]> {
  for (let at = 0; at < updates.length; at += refsPerStatement) {
    yield updates.slice(at, at + refsPerStatement);
  }
}
