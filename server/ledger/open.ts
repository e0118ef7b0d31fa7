import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { accessLedger } from "./access.ts";
import type { Engine } from "./engine.ts";
import { checkSchema, migrate } from "./migrations.ts";
import { outboxLedger } from "./outbox.ts";
import type { Ledger } from "./port.ts";
import { openPostgresEngine } from "./postgres-engine.ts";
import { pushLedger } from "./pushes.ts";
import { ReceiptSeal } from "./receipts.ts";
import { repositoryLedger } from "./repositories.ts";
import { openSqliteEngine } from "./sqlite-engine.ts";

/** Opens the ledger kept in one file, which may be shared by processes of one machine; makes the file if it is missing. */
export async function openSqliteLedger(path: string): Promise<Ledger> {
  await mkdir(dirname(path), { recursive: true });
  return ledgerOn(await openSqliteEngine(path));
}

/** Opens the ledger kept in PostgreSQL (15 or later), such as `postgres://user@host:5432/gitd`; connects on first use. */
export function openPostgresLedger(url: string): Promise<Ledger> {
  return Promise.resolve(ledgerOn(openPostgresEngine(url)));
}

function ledgerOn(engine: Engine): Ledger {
  const seal = new ReceiptSeal(engine);
  return {
    ...repositoryLedger(engine),
    ...pushLedger(engine),
    ...accessLedger(engine, seal),
    ...outboxLedger(engine),
    migrate: () => migrate(engine),
    lead: (name, options) => engine.lead(name, options),
    ready: async () => {
      await checkSchema(engine);
      seal.check();
    },
    [Symbol.asyncDispose]: async () => {
      await seal.flush();
      await engine[Symbol.asyncDispose]();
    },
  };
}
