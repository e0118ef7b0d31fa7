import assert from "node:assert/strict";
import { Player, serversGit } from "../support/player.ts";
import { isAlive, until } from "../support/processes.ts";
import { type World, startWorld } from "../support/world.ts";

type Role = "front" | "node" | "chain" | "main";
const roles: readonly Role[] = ["front", "node", "chain", "main"];
const pushesBefore = 3;
const pushesAfter = 3;
const backMs = 60_000;

describe("kill -9 during pushes", () => {
  let world: World;
  let player: Player;
  before(async () => {
    world = await startWorld();
    player = await Player.at(world);
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  for (const role of roles) {
    it(`of the ${role} process: every acknowledged push stays, with its record`, async () => {
      const name = `killed-${role}`;
      const work = await player.home.init(name);
      const acknowledged = new Map<string, string>();
      const attempted = new Map<string, string>();
      const stop = new AbortController();
      const pushing = (async () => {
        for (let at = 0; !stop.signal.aborted; at += 1) {
          const oid = await player.home.commit(work, `commit ${at}`, {
            [`file-${at}.txt`]: `${role} ${at}\n`,
          });
          const ref = `refs/heads/b${at}`;
          attempted.set(ref, oid);
          const args = ["push", "--quiet", player.remote(name), `HEAD:${ref}`];
          const { code } = await player.git(args, { cwd: work, mayFail: true, timeoutMs: 30_000 });
          if (code === 0) acknowledged.set(ref, oid);
        }
      })();
      try {
        await until("the first pushes", () => acknowledged.size >= pushesBefore, backMs);
        const pid = await pidOf(role);
        process.kill(pid, "SIGKILL");
        await until("the process to be gone", async () => !(await isAlive(pid)));
        if (role === "main") {
          stop.abort();
          await pushing;
          await untilAllGone();
          await world.start();
        } else {
          const before = acknowledged.size;
          await until("pushes to go on", () => acknowledged.size >= before + pushesAfter, backMs);
        }
      } finally {
        stop.abort();
        await pushing;
      }
      await assertWhole(name, acknowledged, attempted);
    }).timeout(180_000);
  }

  /** What was killed with all it had below it: the supervisor's children notice and end by themselves. */
  async function untilAllGone(): Promise<void> {
    const { node, fronts, chain } = await world.pids();
    for (const pid of [node, ...fronts, ...(chain === undefined ? [] : [chain])]) {
      await until(`process ${pid} to end after its supervisor`, async () => !(await isAlive(pid)), 40_000);
    }
  }

  async function pidOf(role: Role): Promise<number> {
    const pids = await world.pids();
    const pid = role === "front" ? pids.fronts[0] : pids[role];
    assert.ok(pid !== undefined && pid > 1, `no ${role} process`);
    return pid;
  }

  async function assertWhole(
    name: string,
    acknowledged: ReadonlyMap<string, string>,
    attempted: ReadonlyMap<string, string>,
  ): Promise<void> {
    const shown = new Map<string, string>();
    for (const line of await player.remoteRefs(name)) {
      const [oid = "", ref = ""] = line.split(" ");
      shown.set(ref, oid);
    }
    for (const [ref, oid] of acknowledged) assert.equal(shown.get(ref), oid, `${ref} was acknowledged`);
    const pushes = await player.recorded(name);
    const seqs = pushes.map(({ seq }) => seq);
    assert.deepEqual(
      seqs,
      seqs.map((_seq, at) => at + 1),
    );
    const told = new Map(pushes.flatMap(({ updates }) => updates.map((update) => [update.ref, update.new])));
    assert.deepEqual(
      Object.fromEntries(shown),
      Object.fromEntries(told),
      "a ref is shown if and only if its push is recorded",
    );
    for (const [ref, oid] of shown) assert.equal(attempted.get(ref), oid);
    const clone = player.home.at(`${name}-clone`);
    await player.git(["clone", "--quiet", "--mirror", player.remote(name), clone]);
    await player.home.git(["fsck", "--full", "--strict"], { cwd: clone });
    assert.deepEqual(await serversGit(world), []);
  }
});

describe("a chain that is dead during pushes", () => {
  let world: World;
  let player: Player;
  before(async () => {
    world = await startWorld();
    player = await Player.at(world);
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  it("slows no push, and gets every record once when it is back", async () => {
    const work = await player.home.init("dead-chain");
    await player.home.commit(work, "first", { "a.txt": "a\n" });
    await player.git(["push", "--quiet", player.remote("dead-chain"), "main"], { cwd: work });
    await player.recorded("dead-chain");
    const { chain } = await world.pids();
    assert.ok(chain !== undefined);
    process.kill(chain, "SIGSTOP");
    try {
      for (let at = 0; at < 5; at += 1) {
        await player.home.commit(work, `commit ${at}`, { "a.txt": `${at}\n` });
        const startedAt = performance.now();
        const { stderr } = await player.git(["push", player.remote("dead-chain"), "main"], { cwd: work });
        assert.ok(performance.now() - startedAt < 5000, "a push waited for the chain");
        assert.match(stderr, /queued/);
      }
      const waiting = await player.pushes("dead-chain");
      assert.equal(waiting.filter(({ state }) => state === "recorded").length, 1);
    } finally {
      process.kill(chain, "SIGCONT");
    }
    const pushes = await player.recorded("dead-chain");
    assert.equal(pushes.length, 6);
    assert.ok(pushes.every(({ transaction }) => transaction !== null));
  });
});
