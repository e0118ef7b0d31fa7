import { zeroOid } from "../../server/domain/ids.ts";
import { openPostgresLedger, openSqliteLedger } from "../../server/ledger/open.ts";
import type { Ledger } from "../../server/ledger/port.ts";
import { newRepository, nextPush } from "./ledger-rows.ts";
import { race } from "./ledger.laws.ts";

/**
 * Another process at the same ledger:
 *
 *   ledger-child.ts <kind> <place> commit <name>...     pushes for ever, a line for each that was acknowledged
 *   ledger-child.ts <kind> <place> race <name> <writer>...
 *   ledger-child.ts <kind> <place> lead <name>          leads until it is killed
 */
const [kind = "", place = "", command = "", ...words] = process.argv.slice(2);

async function pushForEver(ledger: Ledger, name: string): Promise<void> {
  let current = await ledger.repository(newRepository(name).path);
  for (let at = 0; current !== undefined; at += 1) {
    const ref = `refs/heads/${at}`;
    const outcome = await ledger.commitPush(nextPush(current, [ref], new Map([[ref, zeroOid("sha1")]])));
    if (outcome.kind !== "committed") throw new Error(outcome.kind);
    current = outcome.repository;
    process.stdout.write(`acknowledged ${name} ${current.seq} ${current.chainHead}\n`);
  }
}

async function main(): Promise<void> {
  const ledger = kind === "sqlite" ? await openSqliteLedger(place) : await openPostgresLedger(place);
  if (command === "commit") {
    await Promise.all(words.map((name) => pushForEver(ledger, name)));
  } else if (command === "race") {
    const [name = "", ...writers] = words;
    const repository = await ledger.repository(newRepository(name).path);
    if (repository === undefined) throw new Error(`no repository ${name}`);
    const outcomes = await Promise.all(writers.map((writer) => race(ledger, repository, writer)));
    process.stdout.write(`outcomes ${JSON.stringify(outcomes)}\n`);
  } else {
    const lock = await ledger.lead(words[0] ?? "", { signal: AbortSignal.timeout(60_000) });
    process.stdout.write("leads\n");
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    await lock[Symbol.asyncDispose]();
  }
  await ledger[Symbol.asyncDispose]();
}

await main();
