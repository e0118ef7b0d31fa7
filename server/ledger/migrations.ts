import { sql } from "kysely";
import { GitdError } from "../domain/errors.ts";
import type { Db, Engine, EngineKind } from "./engine.ts";
import { spine } from "./migrations/001-spine.ts";

/** One step of the schema: its statements, in order. A step that was released is never edited; a later one changes it. */
export interface Migration {
  readonly number: bigint;
  readonly name: string;
  readonly statements: (kind: EngineKind) => readonly string[];
}

const migrations: readonly Migration[] = [spine];

/** Brings the schema up to date, in one transaction; running it again, or in many processes at once, is harmless. */
export async function migrate(engine: Engine): Promise<void> {
  await engine.write(async (db) => {
    await engine.lockSchema(db);
    await sql`create table if not exists schema_version (number bigint primary key, name text not null)`.execute(
      db,
    );
    const query = db.selectFrom("schema_version").select((select) => select.fn.max("number").as("number"));
    const done = (await query.executeTakeFirst())?.number ?? 0n;
    refuseNewer(done);
    for (const migration of migrations.filter(({ number }) => number > done)) {
      for (const statement of migration.statements(engine.kind)) await sql.raw(statement).execute(db);
      const { number, name } = migration;
      await db.insertInto("schema_version").values({ number, name }).execute();
    }
  });
}

/** Throws `unavailable` unless the schema is the one that this program knows. */
export async function checkSchema(engine: Engine): Promise<void> {
  const number = await engine.read(schemaNumber);
  refuseNewer(number);
  if (number < newest()) {
    throw new GitdError("unavailable", `the ledger has schema ${number}, this gitd needs ${newest()}`, {
      fix: "start the node process of this version, which migrates it",
      retryAfterSeconds: 5,
    });
  }
}

/** 0 if nothing was migrated yet. */
async function schemaNumber(db: Db): Promise<bigint> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: false });
  if (!tables.some(({ name }) => name === "schema_version")) return 0n;
  const query = db.selectFrom("schema_version").select((select) => select.fn.max("number").as("number"));
  return (await query.executeTakeFirst())?.number ?? 0n;
}

function newest(): bigint {
  return migrations.at(-1)?.number ?? 0n;
}

function refuseNewer(found: bigint): void {
  if (found <= newest()) return;
  throw new GitdError(
    "unavailable",
    `the ledger was written by a newer gitd: it has schema ${found}, and this one knows ${newest()}`,
    { fix: "run that newer version, or restore a copy of the ledger from before the upgrade" },
  );
}
