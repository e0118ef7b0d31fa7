import { sql } from "kysely";
import { z } from "zod";
import { GitdError } from "../domain/errors.ts";
import type { RepoId } from "../domain/ids.ts";
import type { Db, Engine } from "./engine.ts";
import type { Batch, Cursor, OutboxLedger, PushRow } from "./port.ts";
import { toPush } from "./pushes.ts";
import type { BatchRow } from "./tables.ts";

/** How far back block hashes are kept to find where two histories part. */
const blocksKept = 100_000n;

type NewBatch = Omit<Batch, "id">;

export function outboxLedger(engine: Engine): OutboxLedger {
  return {
    queuedPushes: (limit) => engine.read((db) => queuedPushes(db, limit)),
    freezeBatch: (batch) => engine.write((db) => freezeBatch(db, batch)),
    openBatches: () => engine.read(openBatches),
    closeBatch: (id) => engine.write((db) => closeBatch(db, id)),
    markRecorded: (repo, seq, transaction, block) =>
      engine.write(async (db) => {
        await db
          .updateTable("pushes")
          .set({ state: "recorded", transaction_hash: transaction, block })
          .where("repo", "=", repo)
          .where("seq", "=", seq)
          .execute();
      }),
    requeueAfter: (repo, seq) => engine.write((db) => requeueAfter(db, repo, seq)),
    queueDepth: () =>
      engine.read(async (db) => {
        const found = await sql<{ depth: bigint }>`
          select count(*) as depth from pushes where state = 'queued'`.execute(db);
        return Number(found.rows[0]?.depth ?? 0n);
      }),
    ...chainView(engine),
  };
}

type ChainView = Pick<
  OutboxLedger,
  "recordedSince" | "cursor" | "setCursor" | "blockHashAt" | "keepRawTransactions" | "rawTransactionsFrom"
>;

/** What the indexer has seen of the chain. */
function chainView(engine: Engine): ChainView {
  return {
    recordedSince: (block) =>
      engine.read(async (db) => {
        const query = db.selectFrom("pushes").select("repo").distinct().where("block", ">=", block);
        return (await query.execute()).map(({ repo }) => repo as RepoId);
      }),
    cursor: () =>
      engine.read(async (db) => {
        const query = db.selectFrom("chain_blocks").selectAll().orderBy("number", "desc").limit(1);
        const row = await query.executeTakeFirst();
        return row === undefined ? undefined : { block: row.number, hash: row.hash };
      }),
    setCursor: (cursor) => engine.write((db) => setCursor(db, cursor)),
    blockHashAt: (block) =>
      engine.read(async (db) => {
        const query = db.selectFrom("chain_blocks").select("hash").where("number", "=", block);
        return (await query.executeTakeFirst())?.hash;
      }),
    keepRawTransactions: (block, raw) => engine.write((db) => keepRawTransactions(db, block, raw)),
    rawTransactionsFrom: (block) =>
      engine.read(async (db) => {
        const query = db.selectFrom("raw_transactions").select("raw").where("block", ">=", block);
        const rows = await query.orderBy("block").orderBy("position").execute();
        return rows.map(({ raw }) => raw);
      }),
  };
}

async function queuedPushes(db: Db, limit: number): Promise<PushRow[]> {
  const rows = await db
    .selectFrom("pushes")
    .selectAll()
    .where("state", "=", sql.lit("queued"))
    .orderBy("number")
    .limit(limit)
    .execute();
  const last = new Map<string, bigint>();
  const gapless = rows.filter(({ repo, seq }) => {
    const before = last.get(repo);
    if (before !== undefined && before + 1n !== seq) return false;
    last.set(repo, seq);
    return true;
  });
  return gapless.map(toPush);
}

async function freezeBatch(db: Db, batch: NewBatch): Promise<Batch> {
  const inserted = await db
    .insertInto("batches")
    .values({
      transaction_hash: batch.transaction,
      raw: batch.raw,
      nonce: batch.nonce,
      pushes: JSON.stringify(batch.pushes.map(({ repo, seq }) => [repo, String(seq)])),
      is_open: 1n,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning("id")
    .executeTakeFirst();
  if (inserted === undefined) throw taken("this transaction is a batch already");
  for (const { repo, seq } of batch.pushes) {
    const { numUpdatedRows } = await db
      .updateTable("pushes")
      .set({ state: "sent", batch: inserted.id })
      .where("repo", "=", repo)
      .where("seq", "=", seq)
      .where("state", "=", sql.lit("queued"))
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) throw taken(`push ${seq} of ${repo} is not queued`);
  }
  return { ...batch, id: inserted.id };
}

async function openBatches(db: Db): Promise<Batch[]> {
  const query = db.selectFrom("batches").selectAll().where("is_open", "=", sql.lit(1n)).orderBy("id");
  return (await query.execute()).map(toBatch);
}

async function closeBatch(db: Db, id: bigint): Promise<void> {
  await db.updateTable("batches").set({ is_open: 0n }).where("id", "=", id).execute();
  await db
    .updateTable("pushes")
    .set({ state: "queued", batch: null })
    .where("batch", "=", id)
    .where("state", "=", sql.lit("sent"))
    .execute();
}

async function requeueAfter(db: Db, repo: RepoId, seq: bigint): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable("pushes")
    .set({ state: "queued", batch: null, transaction_hash: null, block: null })
    .where("repo", "=", repo)
    .where("seq", ">", seq)
    .where("state", "<>", "queued")
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

/** A cursor that goes back forgets the blocks after it: they are of a history that did not last. */
async function setCursor(db: Db, cursor: Cursor): Promise<void> {
  await db
    .deleteFrom("chain_blocks")
    .where((row) =>
      row.or([row("number", ">=", cursor.block), row("number", "<", cursor.block - blocksKept)]),
    )
    .execute();
  await db.insertInto("chain_blocks").values({ number: cursor.block, hash: cursor.hash }).execute();
}

async function keepRawTransactions(db: Db, block: bigint, raw: readonly string[]): Promise<void> {
  await db.deleteFrom("raw_transactions").where("block", "=", block).execute();
  if (raw.length === 0) return;
  const rows = raw.map((text, position) => ({ block, position: BigInt(position), raw: text }));
  await db.insertInto("raw_transactions").values(rows).execute();
}

const storedPushes = z.array(z.tuple([z.string(), z.string()]));

function toBatch(row: Omit<BatchRow, "id"> & { readonly id: bigint }): Batch {
  return {
    id: row.id,
    transaction: row.transaction_hash,
    raw: row.raw,
    nonce: row.nonce,
    pushes: storedPushes
      .parse(JSON.parse(row.pushes))
      .map(([repo, seq]) => ({ repo: repo as RepoId, seq: BigInt(seq) })),
  };
}

function taken(why: string): GitdError {
  return new GitdError("conflict", `the batch cannot be frozen: ${why}`, { fix: "read the queue again" });
}
