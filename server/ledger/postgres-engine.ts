import { Kysely, PostgresDialect, sql } from "kysely";
import { Pool, TypeOverrides } from "pg";
import { GitdError, isGitdError } from "../domain/errors.ts";
import type { Db, Engine } from "./engine.ts";
import { advisoryKey, leadByConnection } from "./lead.ts";
import { preparing } from "./postgres-pool.ts";
import type { Tables } from "./tables.ts";

const connectionsMax = 16;
const connectMsMax = 10_000;
const statementMsMax = 60_000;
const attemptsMax = 10;
const int8Oid = 20;

/** PostgreSQL at `url`, shared with any number of processes. Transactions are READ COMMITTED and lock the rows they decide on. */
export function openPostgresEngine(url: string): Engine {
  return new PostgresEngine(url);
}

class PostgresEngine implements Engine {
  readonly kind = "postgres";
  readonly forUpdate = sql`for no key update`;
  readonly #url: string;
  readonly #db: Db;

  constructor(url: string) {
    this.#url = url;
    const types = new TypeOverrides();
    types.setTypeParser(int8Oid, BigInt);
    const pool = new Pool({
      connectionString: url,
      max: connectionsMax,
      connectionTimeoutMillis: connectMsMax,
      statement_timeout: statementMsMax,
      idle_in_transaction_session_timeout: statementMsMax,
      application_name: "gitd",
      keepAlive: true,
      types,
    });
    // NOTE: an idle connection that breaks is replaced when next needed; whoever needs it then is told.
    pool.on("error", () => undefined);
    this.#db = new Kysely<Tables>({
      dialect: new PostgresDialect({
        pool: preparing(pool),
        onCreateConnection: async (connection) => {
          await connection.executeQuery(keepDurable.compile(this.#db));
        },
      }),
    });
  }

  async read<T>(work: (db: Db) => Promise<T>): Promise<T> {
    try {
      return await work(this.#db);
    } catch (error) {
      throw postgresFailure(error);
    }
  }

  async write<T>(work: (db: Db) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#db.transaction().execute(work);
      } catch (error) {
        if (attempt >= attemptsMax || !retryable.has(stateOf(error))) throw postgresFailure(error);
      }
    }
  }

  async lockSchema(db: Db): Promise<void> {
    await sql`select pg_advisory_xact_lock(${advisoryKey("schema")})`.execute(db);
  }

  lead(name: string, options: { readonly signal: AbortSignal }) {
    return leadByConnection(this.#url, name, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#db.destroy();
  }
}

/** A database may be set up to answer before it has written; a Push may not be acknowledged so. */
const keepDurable = sql`
  select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`;

/** serialization_failure and deadlock_detected: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const retryable = new Set(["40001", "40P01"]);
const unavailable = /^(08|57P0|53[^1]|ECONN|ENOENT|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)/;

function stateOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function postgresFailure(error: unknown): unknown {
  if (isGitdError(error)) return error;
  if (stateOf(error) === "53100") {
    return new GitdError("storage-full", "the disk of the ledger's PostgreSQL is full", {
      fix: "free some space and try again",
      cause: error,
    });
  }
  const isBroken = error instanceof Error && /connection terminated|timeout exceeded/i.test(error.message);
  if (isBroken || unavailable.test(stateOf(error))) {
    return new GitdError("storage-unavailable", "the ledger's PostgreSQL does not answer", {
      fix: "check that it runs and accepts connections",
      retryAfterSeconds: 5,
      cause: error,
    });
  }
  return error;
}
