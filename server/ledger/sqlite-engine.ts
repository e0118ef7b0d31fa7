import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { Kysely, sql } from "kysely";
import { GitdError, isGitdError } from "../domain/errors.ts";
import type { Db, Engine } from "./engine.ts";
import { leadByFile } from "./lead.ts";
import { sqliteDialect } from "./sqlite-dialect.ts";
import type { Tables } from "./tables.ts";

const readerBusyMs = 5_000;
const lockedMsMax = 15_000;
const retryMsMax = 16;
/** Transactions that share one fsync; bounds how long the event loop is kept, at some 50 µs each. */
const groupMax = 128;
const waitingMax = 20_000;

interface Job {
  readonly work: (db: Db) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One SQLite file, shared with other processes on this machine: WAL, so that readers never wait, and `synchronous=FULL`,
 * so that a commit is on disk when it returns. Small transactions of one process that wait at the same time are
 * committed together, each in a savepoint of its own, and none is told before the common fsync.
 */
export async function openSqliteEngine(path: string): Promise<Engine> {
  const writer = await openConnection(path, 0);
  try {
    return new SqliteEngine(path, writer, await openConnection(path, readerBusyMs));
  } catch (error) {
    writer.close();
    throw error;
  }
}

async function openConnection(path: string, busyMs: number): Promise<DatabaseSync> {
  let database: DatabaseSync | undefined;
  try {
    const opened = new DatabaseSync(path, {
      timeout: busyMs,
      readBigInts: true,
      enableForeignKeyConstraints: true,
    });
    database = opened;
    await whileBusy(() => opened.exec("pragma journal_mode = wal"));
    opened.exec(
      "pragma synchronous = full; pragma cache_size = -32000; pragma temp_store = memory; pragma wal_autocheckpoint = 4000",
    );
    return opened;
  } catch (error) {
    if (database?.isOpen === true) database.close();
    throw sqliteFailure(error);
  }
}

class SqliteEngine implements Engine {
  readonly kind = "sqlite";
  readonly forUpdate = sql``;
  readonly #path: string;
  readonly #writer: DatabaseSync;
  readonly #writes: Db;
  readonly #reads: Db;
  readonly #waiting: Job[] = [];
  #draining: Promise<void> | undefined;
  #closed = false;

  constructor(path: string, writer: DatabaseSync, reader: DatabaseSync) {
    this.#path = path;
    this.#writer = writer;
    this.#writes = new Kysely<Tables>({ dialect: sqliteDialect(writer) });
    this.#reads = new Kysely<Tables>({ dialect: sqliteDialect(reader) });
  }

  async read<T>(work: (db: Db) => Promise<T>): Promise<T> {
    try {
      return await work(this.#reads);
    } catch (error) {
      throw sqliteFailure(error);
    }
  }

  write<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) return reject(closedFailure());
      if (this.#waiting.length >= waitingMax) return reject(crowded(this.#waiting.length));
      this.#waiting.push({ work, resolve: resolve as Job["resolve"], reject });
      this.#draining ??= this.#drain();
    });
  }

  async lockSchema(): Promise<void> {
    // Every write transaction is exclusive already.
  }

  lead(name: string, options: { readonly signal: AbortSignal }) {
    return leadByFile(`${this.#path}.lead-${name}`, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#draining;
    await this.#reads.destroy();
    await this.#writes.destroy();
    if (this.#writer.isOpen) this.#writer.close();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      // NOTE: a turn of the event loop, so that what arrives in the same turn is committed together.
      await new Promise((resolve) => setImmediate(resolve));
      await this.#commit(this.#waiting.splice(0, groupMax));
    }
    this.#draining = undefined;
  }

  async #commit(group: readonly Job[]): Promise<void> {
    try {
      await whileBusy(() => this.#writer.exec("begin immediate"));
      const settle: (() => void)[] = [];
      for (const job of group) settle.push(await this.#run(job));
      this.#writer.exec("commit");
      for (const tell of settle) tell();
    } catch (error) {
      const failure = this.#undo(error);
      for (const { reject } of group) reject(failure);
    }
  }

  /** Undoes the open transaction, if there still is one, and returns what its callers are told. */
  #undo(error: unknown): unknown {
    try {
      if (this.#writer.isTransaction) this.#writer.exec("rollback");
      return sqliteFailure(error);
    } catch (undoError) {
      const cause = new AggregateError([error, undoError]);
      return new GitdError("storage-unavailable", "the ledger could not undo a failed change", { cause });
    }
  }

  /** Returns how to tell the caller, once everything is committed; throws if the whole transaction is lost. */
  async #run(job: Job): Promise<() => void> {
    this.#writer.exec("savepoint job");
    try {
      const value = await job.work(this.#writes);
      this.#writer.exec("release job");
      return () => job.resolve(value);
    } catch (error) {
      // A full disk makes SQLite undo the whole transaction by itself.
      if (!this.#writer.isTransaction) throw error;
      this.#writer.exec("rollback to job; release job");
      return () => job.reject(sqliteFailure(error));
    }
  }
}

/** Tries again while another process holds the write lock, without holding up the event loop meanwhile. */
async function whileBusy(act: () => void): Promise<void> {
  const deadline = performance.now() + lockedMsMax;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, retryMsMax)) {
    try {
      return act();
    } catch (error) {
      if (resultCode(error) !== sqliteBusy || performance.now() > deadline) throw error;
    }
    await delay(waitMs);
  }
}

/** https://sqlite.org/rescode.html */
const sqliteBusy = 5;
const sqliteIoError = 10;
const sqliteFull = 13;
const sqliteCannotOpen = 14;
const sqliteCorrupt = 11;
const sqliteNotADatabase = 26;

function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return Number(error.errcode) & 0xff;
}

function sqliteFailure(error: unknown): unknown {
  if (isGitdError(error)) return error;
  switch (resultCode(error)) {
    case sqliteBusy:
      return new GitdError("storage-unavailable", `the ledger was locked for over ${lockedMsMax / 1000} s`, {
        fix: "look for a program that keeps the ledger file open, such as a backup or a shell",
        retryAfterSeconds: 5,
        cause: error,
      });
    case sqliteFull:
      return new GitdError("storage-full", "the disk of the ledger is full", {
        fix: "free some space and try again",
        cause: error,
      });
    case sqliteIoError:
    case sqliteCannotOpen:
      return new GitdError("storage-unavailable", "the ledger file cannot be read or written", {
        fix: "check the disk and the rights of the data folder",
        cause: error,
      });
    case sqliteCorrupt:
    case sqliteNotADatabase:
      return new GitdError("storage-unavailable", "the ledger file is damaged, or is no SQLite database", {
        fix: "put a backup in its place",
        cause: error,
      });
    default:
      return error;
  }
}

function closedFailure(): GitdError {
  return new GitdError("unavailable", "the ledger is closed: the server is stopping", {
    retryAfterSeconds: 5,
  });
}

function crowded(waiting: number): GitdError {
  return new GitdError("unavailable", `${waiting} changes are waiting for the ledger`, {
    fix: "try again later",
    retryAfterSeconds: 5,
  });
}
