import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import { zeroBytes32 } from "../domain/chain-hash.ts";
import { GitdError } from "../domain/errors.ts";
import type { Bytes32, RepoId } from "../domain/ids.ts";
import type { Receipt } from "../domain/receipt.ts";
import type { Db, Engine } from "./engine.ts";
import type { AccessLedger } from "./port.ts";
import type { ReceiptRow } from "./tables.ts";

const sealAfterMs = 200;
const receiptsPerSeal = 500;

/**
 * Receipts are linked into one hash chain soon after they are written, many at a time, so that accesses which end at the
 * same moment do not wait for one another. What a crash leaves unlinked is linked by the next seal of any process.
 */
export class ReceiptSeal {
  readonly #engine: Engine;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failure: unknown;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Seals within a short time; many calls are one. */
  soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.now();
    }, sealAfterMs).unref();
  }

  /** Seals everything written so far; a failure is kept for {@link check} and the next seal makes up for it. */
  async now(): Promise<void> {
    await this.#running;
    this.#running = sealAll(this.#engine).then(
      () => void (this.#failure = undefined),
      (error: unknown) => void (this.#failure = error),
    );
    await this.#running;
  }

  /** Throws if the last seal failed. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Seals what was to be sealed soon. */
  async flush(): Promise<void> {
    if (this.#timer === undefined) return this.#running;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.now();
  }
}

/** Returns false if there is a Receipt of this id already. */
export async function insertReceipt(db: Db, receipt: Receipt): Promise<boolean> {
  const insert = db.insertInto("receipts").values({
    id: receipt.id,
    grant_digest: receipt.grant,
    bond: receipt.bond,
    account: receipt.account,
    repo: receipt.repo,
    operation: receipt.operation,
    bytes_sent: receipt.bytesSent,
    charged: receipt.charged,
    complete: receipt.complete ? 1n : 0n,
    content_sha256: receipt.contentSha256,
    time: receipt.time,
  });
  const result = await insert.onConflict((conflict) => conflict.doNothing()).executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

export async function findReceipts(
  db: Db,
  filter: Parameters<AccessLedger["receipts"]>[0],
): Promise<Receipt[]> {
  let query = db.selectFrom("receipts").selectAll().orderBy("number", "desc").limit(filter.limit);
  if (filter.account !== undefined) query = query.where("account", "=", filter.account);
  if (filter.repo !== undefined) query = query.where("repo", "=", filter.repo);
  return (await query.execute()).map(toReceipt);
}

async function sealAll(engine: Engine): Promise<void> {
  while ((await engine.write((db) => sealSome(db, engine))) === receiptsPerSeal);
}

async function sealSome(db: Db, engine: Engine): Promise<number> {
  const tip = await db
    .selectFrom("receipt_tip")
    .select(["number", "hash"])
    .where("one", "=", 1n)
    .modifyEnd(engine.forUpdate)
    .executeTakeFirstOrThrow();
  const rows = await db
    .selectFrom("unsealed_receipts")
    .innerJoin("receipts", "receipts.number", "unsealed_receipts.receipt")
    .selectAll("receipts")
    .orderBy("unsealed_receipts.receipt")
    .limit(receiptsPerSeal)
    .execute();
  if (rows.length === 0) return 0;
  let { number, hash } = tip;
  const links = rows.map((row) => {
    const previous = hash;
    hash = linkHash(previous, toReceipt(row));
    number += 1n;
    return { number, receipt: row.number, previous, hash };
  });
  await db.insertInto("receipt_chain").values(links).execute();
  const sealed = rows.map((row) => row.number);
  await db.deleteFrom("unsealed_receipts").where("receipt", "in", sealed).execute();
  await db.updateTable("receipt_tip").set({ number, hash }).where("one", "=", 1n).execute();
  return rows.length;
}

/** Follows the chain from its start to its tip and compares every link; throws `content-mismatch` at the first that is wrong. */
export async function verifyReceipts(engine: Engine): Promise<{ count: bigint; head: Bytes32 }> {
  const tip = await engine.read((db) =>
    db.selectFrom("receipt_tip").select(["number", "hash"]).executeTakeFirstOrThrow(),
  );
  let count = 0n;
  let head = zeroBytes32;
  while (count < tip.number) {
    const after = count;
    const rows = await engine.read((db) => linksAfter(db, after));
    for (const row of rows.slice(0, Number(tip.number - after))) {
      const isRight =
        row.link === count + 1n && row.previous === head && row.hash === linkHash(head, toReceipt(row));
      if (!isRight) throw broken(count + 1n);
      count += 1n;
      head = row.hash;
    }
    if (count === after) throw broken(count + 1n);
  }
  if (head !== tip.hash) throw broken(count);
  return { count, head };
}

function linksAfter(db: Db, number: bigint) {
  return db
    .selectFrom("receipt_chain")
    .innerJoin("receipts", "receipts.number", "receipt_chain.receipt")
    .selectAll("receipts")
    .select(["receipt_chain.number as link", "receipt_chain.previous", "receipt_chain.hash"])
    .where("receipt_chain.number", ">", number)
    .orderBy("receipt_chain.number")
    .limit(receiptsPerSeal)
    .execute();
}

function broken(number: bigint): GitdError {
  return new GitdError("content-mismatch", `receipt ${number} of the ledger's chain was changed or removed`, {
    fix: "compare the ledger with a backup",
  });
}

/** `sha256(previous, newline, canonical JSON)`. */
function linkHash(previous: Bytes32, receipt: Receipt): Bytes32 {
  const canonical = JSON.stringify([
    receipt.id,
    receipt.grant,
    String(receipt.bond),
    receipt.account,
    receipt.repo,
    receipt.operation,
    String(receipt.bytesSent),
    String(receipt.charged),
    receipt.complete,
    receipt.contentSha256,
    String(receipt.time),
  ]);
  return `0x${createHash("sha256").update(`${previous}\n${canonical}`).digest("hex")}` as Bytes32;
}

function toReceipt(row: Selectable<ReceiptRow>): Receipt {
  return {
    id: row.id,
    grant: row.grant_digest,
    bond: row.bond,
    account: row.account,
    repo: row.repo as RepoId,
    operation: row.operation,
    bytesSent: row.bytes_sent,
    charged: row.charged,
    complete: row.complete === 1n,
    contentSha256: row.content_sha256,
    time: row.time,
  };
}
