import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSqliteLedger } from "../../server/ledger/open.ts";
import { accessLaws } from "./ledger-access.laws.ts";
import { outboxLaws } from "./ledger-outbox.laws.ts";
import { processLaws } from "./ledger-processes.laws.ts";
import { newBond } from "./ledger-rows.ts";
import { type OpenedLedger, failsWith, repositoryLaws } from "./ledger.laws.ts";

async function openTemp(): Promise<OpenedLedger> {
  const directory = await mkdtemp(join(tmpdir(), "gitd-ledger-"));
  const path = join(directory, "ledger.sqlite");
  const ledger = await openSqliteLedger(path);
  return {
    ledger,
    address: ["sqlite", path],
    unprotect: "drop trigger receipts_no_update",
    again: () => openSqliteLedger(path),
    run: async (statement) => {
      const database = new DatabaseSync(path, { timeout: 5_000 });
      try {
        database.exec(statement);
      } finally {
        database.close();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await ledger[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

describe("the ledger in SQLite", () => {
  describe("repositories", () => repositoryLaws(openTemp));
  describe("access", () => accessLaws(openTemp));
  describe("the outbox", () => outboxLaws(openTemp));
  describe("many processes", () => processLaws(openTemp));
});

describe("the SQLite ledger's file", () => {
  it("waits for another program that holds the write lock", async () => {
    await using opened = await openTemp();
    await opened.ledger.migrate();
    const other = new DatabaseSync(opened.address[1]);
    other.exec("begin immediate");
    const waiting = opened.ledger.putBond(newBond(1n));
    assert.equal(await opened.ledger.bond(1n), undefined);
    other.exec("commit");
    other.close();
    await waiting;
    assert.deepEqual(await opened.ledger.bond(1n), newBond(1n));
  });

  it("says that it was not migrated yet", async () => {
    await using opened = await openTemp();
    await failsWith("unavailable", () => opened.ledger.ready());
  });

  it("refuses what comes after it was closed", async () => {
    const opened = await openTemp();
    await opened.ledger.migrate();
    const last = opened.ledger.putBond(newBond(1n));
    await opened[Symbol.asyncDispose]();
    await last;
    await failsWith("unavailable", () => opened.ledger.putBond(newBond(2n)));
  });

  it("is told apart from a file that is no database", async () => {
    const directory = await mkdtemp(join(tmpdir(), "gitd-ledger-"));
    const path = join(directory, "ledger.sqlite");
    await writeFile(path, "not a database, and long enough to be told apart from an empty file".repeat(20));
    await failsWith("storage-unavailable", () => openSqliteLedger(path));
    await rm(directory, { recursive: true });
  });
});
