import { z } from "zod";
import { type Bond, type Usage, quotaPeriodAt } from "../domain/bond.ts";
import { GitdError } from "../domain/errors.ts";
import type { Address, Bytes32 } from "../domain/ids.ts";
import type { Db, Engine } from "./engine.ts";
import type { AccessLedger } from "./port.ts";
import type { BondRow } from "./tables.ts";

/** The largest number that a column holds. A quota beyond it is kept as this one; no one uses up either. */
const int64Max = (1n << 63n) - 1n;

const storedSigners = z.array(z.string());

export function bondLedger(engine: Engine): Pick<AccessLedger, "bond" | "putBond" | "bondsOf" | "usage"> {
  return {
    bond: (id) =>
      engine.read(async (db) => {
        if (id > int64Max) return undefined;
        const row = await db.selectFrom("bonds").selectAll().where("id", "=", id).executeTakeFirst();
        return row === undefined ? undefined : toBond(row);
      }),
    putBond: (bond) => engine.write((db) => putBond(db, bond)),
    bondsOf: (account) =>
      engine.read(async (db) => {
        const query = db.selectFrom("bonds").selectAll().where("owner", "=", account).orderBy("id");
        return (await query.execute()).map(toBond);
      }),
    usage: (bond, grant, now) => engine.read((db) => usage(db, bond, grant, now)),
  };
}

export function toBond(row: BondRow): Bond {
  return {
    id: row.id,
    owner: row.owner,
    pool: row.pool,
    deposit: row.deposit,
    thawing: row.thawing,
    lockEnd: row.lock_end,
    epoch: Number(row.epoch),
    quotaCalls: row.quota_calls,
    quotaBytes: row.quota_bytes,
    weight: BigInt(row.weight),
    signers: storedSigners.parse(JSON.parse(row.signers)) as Address[],
  };
}

/** What the Bond has used of a period; of periods before the newest one nothing counts any more. */
export function usedIn(row: BondRow, period: bigint): Pick<Usage, "calls" | "bytes" | "unsettled"> {
  const { unsettled } = row;
  if (row.used_period < period) return { calls: 0n, bytes: 0n, unsettled };
  return { calls: row.used_calls, bytes: row.used_bytes, unsettled };
}

async function putBond(db: Db, bond: Bond): Promise<void> {
  if (bond.id > int64Max || bond.deposit > int64Max || bond.lockEnd > int64Max) {
    throw new GitdError(
      "invalid",
      `bond ${bond.id} has numbers beyond 64 bits, which the ledger cannot keep`,
    );
  }
  const said = {
    owner: bond.owner,
    pool: bond.pool,
    deposit: bond.deposit,
    thawing: bond.thawing,
    lock_end: bond.lockEnd,
    epoch: BigInt(bond.epoch),
    quota_calls: atMost64(bond.quotaCalls),
    quota_bytes: atMost64(bond.quotaBytes),
    weight: String(bond.weight),
    signers: JSON.stringify(bond.signers),
  };
  const unused = { used_period: 0n, used_calls: 0n, used_bytes: 0n, unsettled: 0n, open_holds: 0n };
  const insert = db.insertInto("bonds").values({ id: bond.id, ...said, ...unused });
  await insert.onConflict((conflict) => conflict.column("id").doUpdateSet(said)).execute();
}

async function usage(db: Db, bond: bigint, grant: Bytes32 | null, now: bigint): Promise<Usage> {
  const row = await db
    .selectFrom("bonds")
    .leftJoin("grant_usage", (join) => join.on("grant_usage.grant_digest", "=", grant ?? ("" as Bytes32)))
    .selectAll("bonds")
    .select("grant_usage.charged")
    .where("bonds.id", "=", bond)
    .executeTakeFirst();
  if (row === undefined) return { calls: 0n, bytes: 0n, unsettled: 0n, grantCharged: 0n };
  return { ...usedIn(row, quotaPeriodAt(now)), grantCharged: row.charged ?? 0n };
}

function atMost64(value: bigint): bigint {
  return value < int64Max ? value : int64Max;
}
