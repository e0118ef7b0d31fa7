import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Program, inheritedEnvironment, startProgram, until } from "../support/processes.ts";
import { accounts, newRepository } from "./ledger-rows.ts";
import { type OpenLedger, type OpenedLedger, now } from "./ledger.laws.ts";

const child = fileURLToPath(new URL("ledger-child.ts", import.meta.url));

/** Several processes at one ledger, some of them killed. */
export function processLaws(open: OpenLedger): void {
  let opened: OpenedLedger;
  const children: Program[] = [];

  beforeEach(async () => {
    opened = await open();
    await opened.ledger.migrate();
  });
  afterEach(async () => {
    for (const program of children.splice(0)) await program[Symbol.asyncDispose]();
    await opened[Symbol.asyncDispose]();
  });

  function start(...words: string[]): Program {
    const program = startProgram(process.execPath, [child, ...opened.address, ...words], {
      env: inheritedEnvironment(),
    });
    children.push(program);
    return program;
  }

  it("keeps every Push that a process had acknowledged when it was killed", async () => {
    const { ledger } = opened;
    const names = ["one", "two", "three"];
    for (const name of names) await ledger.createRepository(newRepository(name), now);
    const program = start("commit", ...names);
    await program.line(/^acknowledged one 20 /m, 30_000);
    await program.stop("SIGKILL");
    const acknowledged = [...program.output.matchAll(/^acknowledged (\S+) (\d+) (0x[0-9a-f]{64})$/gm)];
    assert.ok(acknowledged.length > 20);
    for (const name of names) {
      const repository = await ledger.repository(newRepository(name).path);
      assert.ok(repository);
      const rows = await ledger.pushes(repository.id, { afterSeq: 0n, limit: 10_000 });
      const heads = new Map(rows.map(({ seq, chainHead }) => [String(seq), chainHead as string]));
      for (const [, of, seq = "", head] of acknowledged) {
        if (of === name) assert.equal(heads.get(seq), head);
      }
      assert.equal(repository.seq, BigInt(rows.length));
      assert.equal((await ledger.refs(repository.id)).length, rows.length);
      assert.equal((await ledger.packs(repository.id)).length, rows.length);
    }
  }).timeout(60_000);

  it("lets one of eight writers in four processes win each ref, and loses none of the rest", async () => {
    const { ledger } = opened;
    const repository = await ledger.createRepository(newRepository("raced"), now);
    const programs = [0, 1, 2, 3].map((at) => start("race", "raced", `w${at}a`, `w${at}b`));
    const told = await Promise.all(programs.map((program) => program.line(/^outcomes (.*)$/m, 45_000)));
    const outcomes = told.flatMap(([, json = ""]) => JSON.parse(json) as { own: boolean; shared: boolean }[]);
    assert.equal(outcomes.length, 8);
    assert.equal(outcomes.filter(({ shared }) => shared).length, 1);
    assert.ok(outcomes.every(({ own }) => own));
    const rows = await ledger.pushes(repository.id, { afterSeq: 0n, limit: 100 });
    assert.deepEqual(
      rows.map(({ seq }) => seq),
      Array.from({ length: 9 }, (_, at) => BigInt(at + 1)),
    );
    assert.equal((await ledger.refs(repository.id)).length, 9);
    assert.equal((await ledger.repositoriesOf(accounts.owner, 1))[0]?.version, 9n);
  }).timeout(60_000);

  it("passes the lead to another process when the leader is killed", async () => {
    const first = start("lead", "keeper");
    await first.line(/leads/, 20_000);
    const second = start("lead", "keeper");
    const waiting = opened.ledger.lead("keeper", { signal: AbortSignal.timeout(500) });
    await assert.rejects(waiting, { name: /AbortError|TimeoutError/ });
    assert.equal(second.output, "");
    await first.stop("SIGKILL");
    await until("another to lead", () => /leads/.test(second.output), 20_000);
    await assert.rejects(opened.ledger.lead("keeper", { signal: AbortSignal.timeout(300) }));
    await second.stop("SIGKILL");
    await using mine = await opened.ledger.lead("keeper", { signal: AbortSignal.timeout(10_000) });
    assert.equal(mine.lost.aborted, false);
  }).timeout(60_000);
}
