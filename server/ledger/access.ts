import { sql } from "kysely";
import { type HoldTerms, quotaPeriodAt } from "../domain/bond.ts";
import { GitdError } from "../domain/errors.ts";
import type { Bytes32 } from "../domain/ids.ts";
import type { Receipt } from "../domain/receipt.ts";
import { bondLedger, toBond, usedIn } from "./bonds.ts";
import type { Db, Engine } from "./engine.ts";
import type { AccessLedger, HoldRequest } from "./port.ts";
import { type ReceiptSeal, findReceipts, insertReceipt, verifyReceipts } from "./receipts.ts";
import type { BondRow } from "./tables.ts";

const expiriesPerRound = 500;

/** The statements of Holds are plain SQL: they run for every metered access, and building them would cost as much again. */
export function accessLedger(engine: Engine, seal: ReceiptSeal): AccessLedger {
  return {
    ...bondLedger(engine),
    hold: (request) => engine.write((db) => hold(db, engine, request)),
    post: async (id, receipt) => {
      await engine.write((db) => post(db, id, receipt));
      seal.soon();
    },
    voidHold: async (id) => void (await engine.write((db) => giveBack(db, id))),
    expireHolds: async (now) => {
      const count = await expireHolds(engine, now);
      seal.soon();
      return count;
    },
    recordFreeRead: async (receipt) => {
      await engine.write((db) => insertReceipt(db, receipt));
      seal.soon();
    },
    receipts: (filter) => engine.read((db) => findReceipts(db, filter)),
    verifyReceipts: async () => {
      await seal.now();
      seal.check();
      return verifyReceipts(engine);
    },
    revokeGrant: (grant, now) => engine.write((db) => revokeGrant(db, grant, now)),
    isGrantRevoked: (grant) =>
      engine.read(async (db) => {
        const found = await sql`select 1 from revoked_grants where grant_digest = ${grant}`.execute(db);
        return found.rows.length > 0;
      }),
  };
}

async function hold(db: Db, engine: Engine, request: HoldRequest): Promise<HoldTerms> {
  const found = await sql<BondRow>`
    select * from bonds where id = ${request.bond} ${engine.forUpdate}`.execute(db);
  const bond = found.rows[0];
  if (bond === undefined) {
    throw new GitdError("bond-required", `bond ${request.bond} does not exist`, {
      fix: "open one: gitd bond open <CODEX>",
    });
  }
  const before = await knownTo(db, request);
  if (before.bytes !== null && before.amount !== null) {
    if (before.bond === request.bond && before.grant === request.grant && before.repo === request.repo)
      return { bytes: before.bytes, amount: before.amount };
    throw new GitdError("conflict", `hold ${request.id} was taken for another access`);
  }
  const asked = quotaPeriodAt(request.nowSeconds);
  // NOTE: a front whose clock is behind counts in the newest period, not in one that is over.
  const period = asked > bond.used_period ? asked : bond.used_period;
  const usage = { ...usedIn(bond, period), grantCharged: before.charged ?? 0n };
  const terms = request.decide(toBond(bond), usage, Number(bond.open_holds));
  await sql`
    insert into holds (id, bond, grant_digest, repo, period, bytes, amount, expires_at, state)
    values (${request.id}, ${request.bond}, ${request.grant}, ${request.repo}, ${period}, ${terms.bytes},
      ${terms.amount}, ${request.expiresAtSeconds}, 'open')`.execute(db);
  return terms;
}

interface Known {
  /** What the Grant was charged so far. */
  readonly charged: bigint | null;
  readonly bond: bigint | null;
  readonly grant: Bytes32 | null;
  readonly repo: string | null;
  readonly bytes: bigint | null;
  readonly amount: bigint | null;
}

/** Asked after the Bond is locked: a Grant belongs to one Bond, so neither row changes any more. */
async function knownTo(db: Db, request: HoldRequest): Promise<Known> {
  const found = await sql<Known>`
    select g.charged, h.bond, h.grant_digest as "grant", h.repo, h.bytes, h.amount from (select 1 as one) as here
    left join grant_usage g on g.grant_digest = ${request.grant} left join holds h on h.id = ${request.id}`.execute(
    db,
  );
  const [row] = found.rows;
  if (row === undefined) throw new GitdError("internal", "a query of one row gave none");
  return row;
}

/** A Hold is closed once: of all who try at the same time, one changes the row. */
async function post(db: Db, id: string, receipt: Receipt): Promise<void> {
  const { bytesSent, charged } = receipt;
  const closed = await sql`
    update holds set state = 'posted', bytes_sent = ${bytesSent}, charged = ${charged}
    where id = ${id} and state = 'open' and bond = ${receipt.bond} and grant_digest = ${receipt.grant}
      and repo = ${receipt.repo} and ${bytesSent} between 0 and bytes and ${charged} between 0 and amount`.execute(
    db,
  );
  if (closed.numAffectedRows !== 1n) return explainUnposted(db, id);
  if (!(await insertReceipt(db, receipt))) {
    throw new GitdError("conflict", `there is a receipt ${receipt.id} already`);
  }
}

/** Posting again is harmless; posting what was given back would charge for what no one set aside. */
async function explainUnposted(db: Db, id: string): Promise<void> {
  const row = await db.selectFrom("holds").select("state").where("id", "=", id).executeTakeFirst();
  switch (row?.state) {
    case "posted":
      return;
    case "void":
      throw new GitdError(
        "conflict",
        `hold ${id} was given back before it was posted: it expired or was dropped`,
      );
    case "open":
      throw new GitdError(
        "invalid",
        `the receipt of hold ${id} goes beyond what was held, or is of another access`,
      );
    case undefined:
      throw new GitdError("not-found", `there is no hold ${id}`);
  }
}

async function giveBack(db: Db, id: string): Promise<boolean> {
  const closed = await sql`update holds set state = 'void' where id = ${id} and state = 'open'`.execute(db);
  return closed.numAffectedRows === 1n;
}

async function expireHolds(engine: Engine, now: bigint): Promise<number> {
  let count = 0;
  for (;;) {
    const due = await engine.read((db) =>
      db
        .selectFrom("holds")
        .select("id")
        .where("state", "=", sql.lit("open"))
        .where("expires_at", "<=", now)
        .limit(expiriesPerRound)
        .execute(),
    );
    const given = await Promise.all(due.map(({ id }) => engine.write((db) => giveBack(db, id))));
    count += given.filter(Boolean).length;
    if (due.length < expiriesPerRound) return count;
  }
}

async function revokeGrant(db: Db, grant: Bytes32, now: bigint): Promise<void> {
  const insert = db.insertInto("revoked_grants").values({ grant_digest: grant, revoked_at: now });
  await insert.onConflict((conflict) => conflict.doNothing()).execute();
}
