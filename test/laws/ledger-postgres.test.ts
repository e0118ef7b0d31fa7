import assert from "node:assert/strict";
import { isGitdError } from "../../server/domain/errors.ts";
import { openPostgresLedger } from "../../server/ledger/open.ts";
import { Postgres, findPostgres } from "../support/postgres.ts";
import { until } from "../support/processes.ts";
import { accessLaws } from "./ledger-access.laws.ts";
import { outboxLaws } from "./ledger-outbox.laws.ts";
import { processLaws } from "./ledger-processes.laws.ts";
import { type OpenedLedger, failsWith, repositoryLaws } from "./ledger.laws.ts";

const binaries = findPostgres();

if (binaries === undefined) {
  describe("the ledger in PostgreSQL", () => {
    it("obeys the laws of the ledger (skipped: PostgreSQL is not installed here)");
  });
} else {
  describe("the ledger in PostgreSQL", () => {
    let cluster: Postgres;

    before(async () => {
      cluster = await Postgres.start(binaries);
    });
    after(() => cluster[Symbol.asyncDispose]());

    async function openNew(): Promise<OpenedLedger> {
      const url = await cluster.createDatabase();
      const ledger = await openPostgresLedger(url);
      return {
        ledger,
        address: ["postgres", url],
        unprotect: "drop trigger receipts_insert_only on receipts",
        again: () => openPostgresLedger(url),
        run: (statement) => cluster.query(url, statement),
        [Symbol.asyncDispose]: () => ledger[Symbol.asyncDispose](),
      };
    }

    describe("repositories", () => repositoryLaws(openNew));
    describe("access", () => accessLaws(openNew));
    describe("the outbox", () => outboxLaws(openNew));
    describe("many processes", () => processLaws(openNew));

    it("says that it was not migrated yet", async () => {
      await using opened = await openNew();
      await failsWith("unavailable", () => opened.ledger.ready());
    });

    it("tells a leader that its lock was lost", async () => {
      await using opened = await openNew();
      await opened.ledger.migrate();
      await using lock = await opened.ledger.lead("keeper", { signal: AbortSignal.timeout(10_000) });
      await opened.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gitd lead keeper'",
      );
      await until("the lock to be lost", () => lock.lost.aborted);
      await using next = await opened.ledger.lead("keeper", { signal: AbortSignal.timeout(10_000) });
      assert.equal(next.lost.aborted, false);
    });

    it("makes new connections after its own were cut", async () => {
      await using opened = await openNew();
      await opened.ledger.migrate();
      await opened.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gitd'",
      );
      const answers = async (): Promise<boolean> => {
        try {
          await opened.ledger.ready();
          return true;
        } catch (error) {
          if (isGitdError(error, "storage-unavailable")) return false;
          throw error;
        }
      };
      await until("the ledger to answer again", answers);
    });

    it("says that it cannot be reached", async () => {
      await using ledger = await openPostgresLedger("postgres://gitd@127.0.0.1:1/gitd");
      await failsWith("storage-unavailable", () => ledger.ready());
      await failsWith("storage-unavailable", () => ledger.setNamespaceOwner("acme", "0x00" as never));
    });
  });
}
