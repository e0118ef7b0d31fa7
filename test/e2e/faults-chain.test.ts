import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Person } from "../support/person.ts";
import { until } from "../support/processes.ts";
import { type World, startWorld } from "../support/world.ts";

const pushes = z.object({ pushes: z.array(z.object({ seq: z.string(), state: z.string() })) });
const bonds = z.object({ bonds: z.array(z.object({ id: z.string(), deposit: z.string() })) });

describe("An embedded chain that loses everything", function () {
  this.timeout(180_000);
  let world: World;
  let owner: Person;

  before(async () => {
    world = await startWorld();
    owner = await Person.at(world.url);
    for (const args of [["wallet", "new"], ["faucet"]]) await owner.gitd(...args);
  });
  after(async () => {
    await owner?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  it("comes back with the same contracts, bonds, names and pushes, each recorded once", async () => {
    const account = await owner.address();
    const path = `${account}/tool`;
    const work = await owner.home.init("work");
    await owner.home.commit(work, "first", { "a.txt": "a\n" });
    await owner.gitd("login");
    await owner.git(["push", "--quiet", `${world.url}/${path}.git`, "main"], { cwd: work });
    await owner.gitd("bond", "open", "5");
    await owner.gitd("namespace", "claim", "kept");
    await recorded(owner, path, 1);
    const before = await (await fetch(`${world.url}/api/v1/info`)).json();

    const { chain } = await world.pids();
    assert.ok(chain !== undefined);
    process.kill(chain, "SIGKILL");
    await rm(join(world.dataDir, "chain", "state.json"), { force: true });
    await owner.home.commit(work, "while it is dead", { "b.txt": "b\n" });
    await owner.git(["push", "--quiet", `${world.url}/${path}.git`, "main"], { cwd: work });

    await recorded(owner, path, 2);
    assert.deepEqual(await (await fetch(`${world.url}/api/v1/info`)).json(), before);
    const taken = await until(
      "the namespace to be claimed again",
      async () => {
        const { code, stderr } = await owner.try(["namespace", "claim", "kept"]);
        return code === 1 && /taken/.test(stderr) ? true : undefined;
      },
      60_000,
      500,
    );
    assert.ok(taken);
    await owner.gitd("bond", "top-up", "1", "1");
    const [bond] = (await owner.json(bonds, "bond", "status")).bonds;
    assert.equal(bond?.deposit, "6000000");
    const restored = owner.home.at("restored.git");
    await owner.gitd("restore", path, "--into", restored);
    await owner.home.assertSame(work, restored);
  });
});

async function recorded(owner: Person, path: string, count: number): Promise<void> {
  await until(
    `${count} pushes to be on chain`,
    async () => {
      const found = (await owner.json(pushes, "log", path)).pushes;
      return found.length === count && found.every(({ state }) => state === "recorded") ? true : undefined;
    },
    60_000,
    300,
  );
}
