import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { GitdError } from "../domain/errors.ts";
import type { LeaderLock } from "./port.ts";

const askEveryMs = 100;
const connectMsMax = 10_000;

/**
 * Leads by a SQLite file of its own, kept in an exclusive transaction: the system drops that lock when the process ends,
 * however it ends. The lock cannot be lost while the process lives.
 */
export async function leadByFile(
  path: string,
  options: { readonly signal: AbortSignal },
): Promise<LeaderLock> {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    while (!tryExclusive(database)) await delay(askEveryMs, undefined, { signal: options.signal });
    options.signal.throwIfAborted();
  } catch (error) {
    database.close();
    throw error;
  }
  return {
    lost: new AbortController().signal,
    [Symbol.asyncDispose]: async () => {
      if (database.isOpen) database.close();
    },
  };
}

const sqliteBusy = 5;

function tryExclusive(database: DatabaseSync): boolean {
  try {
    database.exec("begin exclusive");
    return true;
  } catch (error) {
    const isBusy = error instanceof Error && "errcode" in error && Number(error.errcode) === sqliteBusy;
    if (isBusy) return false;
    throw error;
  }
}

/** Leads by a PostgreSQL advisory lock on a connection of its own; the lock is lost with the connection. */
export async function leadByConnection(
  url: string,
  name: string,
  options: { readonly signal: AbortSignal },
): Promise<LeaderLock> {
  const client = new Client({
    connectionString: url,
    keepAlive: true,
    application_name: `gitd lead ${name}`,
    connectionTimeoutMillis: connectMsMax,
  });
  const lost = new AbortController();
  const lose = (): void =>
    lost.abort(new GitdError("storage-unavailable", "the connection that held the lead was lost"));
  client.on("error", lose);
  client.on("end", lose);
  try {
    await client.connect();
    while (!(await tryAdvisory(client, name))) {
      await delay(askEveryMs, undefined, { signal: options.signal });
    }
    options.signal.throwIfAborted();
  } catch (error) {
    await client.end();
    throw error;
  }
  return { lost: lost.signal, [Symbol.asyncDispose]: () => client.end() };
}

async function tryAdvisory(client: Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>("select pg_try_advisory_lock($1) as held", [
    advisoryKey(`lead/${name}`),
  ]);
  return rows[0]?.held === true;
}

/** The 64-bit number that an advisory lock goes by, in decimal. */
export function advisoryKey(name: string): string {
  return createHash("sha256").update(`gitd/${name}`).digest().readBigInt64BE(0).toString();
}
