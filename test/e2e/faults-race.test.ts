import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Player } from "../support/player.ts";
import { type World, startWorld } from "../support/world.ts";

const racers = 8;

describe("many clients at once", () => {
  let world: World;
  let player: Player;
  before(async () => {
    world = await startWorld({ environment: { GITD_FRONTS: "2" } });
    player = await Player.at(world);
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  it("lose no update when eight race for one ref", async () => {
    const { home } = player;
    const seed = await home.init("seed");
    await home.commit(seed, "seed", { "seed.txt": "seed\n" });
    await player.git(["push", "--quiet", player.remote("race"), "main"], { cwd: seed });
    const racing = Array.from({ length: racers }, async (_, racer) => {
      const clone = home.at(`racer-${racer}`);
      await player.git(["clone", "--quiet", player.remote("race"), clone]);
      const oid = await home.commit(clone, `racer ${racer}`, { [`racer-${racer}.txt`]: `${racer}\n` });
      return { clone, oid };
    });
    const runners = await Promise.all(racing);
    const firstRound = await Promise.all(
      runners.map(({ clone }) =>
        player.git(["push", "--quiet", "origin", "main"], { cwd: clone, mayFail: true }),
      ),
    );
    const won = firstRound.filter(({ code }) => code === 0).length;
    assert.equal(won, 1, firstRound.map(({ stderr }) => stderr).join("\n"));
    await Promise.all(runners.map(({ clone }) => pushUntilTaken(clone)));
    const result = home.at("result");
    await player.git(["clone", "--quiet", player.remote("race"), result]);
    const subjects = (await home.git(["log", "--format=%s"], { cwd: result })).stdout.trim().split("\n");
    const wanted = ["seed", ...runners.map((_, racer) => `racer ${racer}`)];
    assert.deepEqual(subjects.sort(), wanted.sort());
    const pushes = await player.pushes("race");
    assert.deepEqual(
      pushes.map(({ seq }) => seq),
      Array.from({ length: racers + 1 }, (_, at) => at + 1),
    );
    let tip = "0".repeat(40);
    for (const { updates } of pushes) {
      assert.deepEqual(
        updates.map(({ ref, old }) => [ref, old]),
        [["refs/heads/main", tip]],
      );
      tip = updates[0]?.new ?? "";
    }
  });

  it("all win when each pushes a ref of its own", async () => {
    const { home } = player;
    const work = await home.init("own-refs");
    await home.commit(work, "base", { "a.txt": "a\n" });
    await player.git(["push", "--quiet", player.remote("own"), "main"], { cwd: work });
    const oids = new Map<string, string>();
    for (let racer = 0; racer < racers; racer += 1) {
      await home.git(["checkout", "--quiet", "-b", `b${racer}`, "main"], { cwd: work });
      oids.set(`refs/heads/b${racer}`, await home.commit(work, `b${racer}`, { [`b${racer}.txt`]: "b\n" }));
    }
    const pushes = [...oids.keys()].map((ref) =>
      player.git(["push", "--quiet", player.remote("own"), `${ref}:${ref}`], { cwd: work }),
    );
    await Promise.all(pushes);
    const shown = await player.remoteRefs("own");
    for (const [ref, oid] of oids) assert.ok(shown.includes(`${oid} ${ref}`), ref);
    assert.equal((await player.pushes("own")).length, racers + 1);
  });

  it("go on after the cache folder was deleted", async () => {
    const { home } = player;
    const before = await player.remoteRefs("own");
    await rm(join(world.dataDir, "cache"), { recursive: true });
    const clone = home.at("after-deletion");
    await player.git(["clone", "--quiet", player.remote("own"), clone]);
    await home.git(["fsck", "--full", "--strict"], { cwd: clone });
    assert.deepEqual(await player.remoteRefs("own"), before);
    await rm(join(world.dataDir, "cache"), { recursive: true });
    await home.commit(clone, "after", { "after.txt": "after\n" });
    await player.git(["push", "--quiet", "origin", "HEAD:refs/heads/after"], { cwd: clone });
    assert.equal((await player.remoteRefs("own")).length, before.length + 1);
  });

  async function pushUntilTaken(clone: string): Promise<void> {
    for (let round = 0; round < racers * 3; round += 1) {
      await player.git(["pull", "--quiet", "--rebase", "origin", "main"], { cwd: clone });
      const { code } = await player.git(["push", "--quiet", "origin", "main"], { cwd: clone, mayFail: true });
      if (code === 0) return;
    }
    assert.fail(`${clone} never got its turn`);
  }
});
