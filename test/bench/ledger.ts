import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bond, admit, gibibyte } from "../../server/domain/bond.ts";
import type { Bytes32 } from "../../server/domain/ids.ts";
import type { Oid } from "../../server/domain/ids.ts";
import { openPostgresLedger, openSqliteLedger } from "../../server/ledger/open.ts";
import type { Ledger } from "../../server/ledger/port.ts";
import { accounts, newBond, newRepository, nextPush, receiptFor } from "../laws/ledger-rows.ts";
import { Postgres, findPostgres } from "../support/postgres.ts";

/** Figures of the ledger on this machine: `node test/bench/ledger.ts`. */
const bonds = 2_000;
const pairs = 10_000;
const now = 1_800_000_000n;

async function measure(name: string, ledger: Ledger): Promise<void> {
  await ledger.migrate();
  const owned = Array.from({ length: bonds }, (_, at) => newBond(BigInt(at + 1)));
  await Promise.all(owned.map((bond) => ledger.putBond(bond)));
  const repository = await ledger.createRepository(newRepository("bench"), now);
  for (const width of [1, 16, 64, 256]) {
    const count = width === 1 ? 1_000 : pairs;
    const rate = await perSecond(count, width, (at) =>
      pair(ledger, repository.id, owned[at % bonds] as Bond, `${name}-${width}-${at}`),
    );
    report(name, `reserve+post pairs, ${width} at a time`, rate);
  }
  const hot = owned[0] as Bond;
  report(
    name,
    "reserve+post pairs on one bond, 32 at a time",
    await perSecond(2_000, 32, (at) => pair(ledger, repository.id, hot, `${name}-hot-${at}`)),
  );
  const calls = 10_000;
  report(name, "repositoryVersion", await perSecond(calls, 1, () => ledger.repositoryVersion(repository.id)));
  report(name, "repository(path)", await perSecond(calls, 1, () => ledger.repository(repository.path)));
  await measurePushes(name, ledger);
}

async function measurePushes(name: string, ledger: Ledger): Promise<void> {
  let current = await ledger.createRepository(newRepository("many"), now);
  const refs = Array.from({ length: 50_000 }, (_, at) => `refs/heads/branch-${at}`);
  const all = nextPush(current, refs);
  let startedAt = performance.now();
  const first = await ledger.commitPush(all);
  process.stdout.write(
    `${name}: commitPush of 50,000 refs ${(performance.now() - startedAt).toFixed(0)} ms\n`,
  );
  if (first.kind === "committed") current = first.repository;
  startedAt = performance.now();
  const read = await ledger.refs(current.id);
  process.stdout.write(
    `${name}: refs of ${read.length} refs ${(performance.now() - startedAt).toFixed(0)} ms\n`,
  );
  let old = all.updates[0]?.new as Oid;
  const rate = await perSecond(500, 1, async () => {
    const push = nextPush(current, ["refs/heads/branch-0"], new Map([["refs/heads/branch-0", old]]));
    const outcome = await ledger.commitPush(push);
    if (outcome.kind !== "committed") throw new Error(outcome.kind);
    current = outcome.repository;
    old = push.updates[0]?.new as Oid;
  });
  report(name, "commitPush of one ref beside 50,000", rate);
}

async function pair(
  ledger: Ledger,
  repo: Parameters<Ledger["refs"]>[0],
  bond: Bond,
  id: string,
): Promise<void> {
  const grant = `0x${bond.id.toString(16).padStart(64, "0")}` as Bytes32;
  const price = { perCall: 10n, perGib: 1_000n };
  const terms = await ledger.hold({
    id,
    grant,
    bond: bond.id,
    repo,
    nowSeconds: now,
    expiresAtSeconds: now + 3_600n,
    decide: (...facts) =>
      admit(...facts, { bytes: 1_000_000n, bytesLeast: 0n, price, grantCap: gibibyte * 1000n }),
  });
  await ledger.post(id, receiptFor({ id, grant, bond: bond.id, repo, account: accounts.reader }, terms));
}

async function perSecond(
  count: number,
  width: number,
  act: (at: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const runner = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) await act(at);
  };
  await Promise.all(Array.from({ length: width }, runner));
  return (count * 1000) / (performance.now() - startedAt);
}

function report(name: string, what: string, rate: number): void {
  process.stdout.write(`${name}: ${what}: ${rate.toFixed(0)}/s (${(1e6 / rate).toFixed(1)} µs)\n`);
}

const folder = await mkdtemp(join(tmpdir(), "gitd-bench-"));
{
  await using ledger = await openSqliteLedger(join(folder, "ledger.sqlite"));
  await measure("sqlite", ledger);
}
await rm(folder, { recursive: true });
const binaries = findPostgres();
if (binaries === undefined) process.stdout.write("postgres: no binaries found\n");
else {
  await using cluster = await Postgres.start(binaries);
  await using ledger = await openPostgresLedger(await cluster.createDatabase());
  await measure("postgres", ledger);
}
