import type { Kysely, RawBuilder } from "kysely";
import type { LeaderLock } from "./port.ts";
import type { Tables } from "./tables.ts";

export type EngineKind = "sqlite" | "postgres";
export type Db = Kysely<Tables>;

/** What the ledger asks of a database engine. */
export interface Engine extends AsyncDisposable {
  readonly kind: EngineKind;
  /** Ends a `select` of rows that the transaction is about to change, so that no other can change them first. */
  readonly forUpdate: RawBuilder<unknown>;
  /** Law: `work` sees only what was committed. */
  read<T>(work: (db: Db) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in a transaction, which is durable when this returns and undone if `work` throws. `work` may run again
   * after a conflict with another process, and awaits nothing but `db`.
   */
  write<T>(work: (db: Db) => Promise<T>): Promise<T>;
  /** Inside a {@link write}: keeps other processes from migrating until it ends. */
  lockSchema(db: Db): Promise<void>;
  lead(name: string, options: { readonly signal: AbortSignal }): Promise<LeaderLock>;
}
