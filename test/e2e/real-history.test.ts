import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { skipSaying } from "../support/peers.ts";
import { Player } from "../support/player.ts";
import { type RealHistory, realHistory } from "../support/real-history.ts";
import { type World, startWorld } from "../support/world.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const buildMs = 300_000;

describe("real published content", () => {
  let world: World;
  let player: Player;
  let history: RealHistory;
  before(async function () {
    this.timeout(buildMs);
    history = await realHistory();
    world = await startWorld();
    player = await Player.at(world);
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  it("is what the tests say it is", async () => {
    assert.ok(history.commits > 100 && history.files > 500, JSON.stringify(history));
    const branches = await player.home.refs(history.path);
    assert.ok(branches.some((line) => line.startsWith("refs/heads/1.x ")));
    const binary = ["diff", "--numstat", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "refs/tags/v2.0.0"];
    const { stdout } = await player.home.git(["--git-dir", history.path, ...binary]);
    assert.match(stdout, /^-\t-\t.*\.png$/m);
  });

  it("comes back from a clone with every ref and every object", async () => {
    const args = [
      "push",
      "--quiet",
      player.remote("connect"),
      "refs/heads/*:refs/heads/*",
      "refs/tags/*:refs/tags/*",
    ];
    await player.git(args, { cwd: history.path });
    const clone = player.home.at("connect");
    await player.git(["clone", "--quiet", "--mirror", player.remote("connect"), clone]);
    await player.home.assertSame(history.path, clone);
  });

  it("is recorded on chain with its authors", async () => {
    const pushes = await player.recorded("connect");
    assert.equal(pushes.length, 1);
    assert.equal(pushes[0]?.state, "recorded");
  });

  it("comes back version by version, as if each release had been pushed on its day", async () => {
    const tags = await player.home.git(
      ["for-each-ref", "--format=%(refname:short)", "--sort=taggerdate", "refs/tags/v3*"],
      {
        cwd: history.path,
      },
    );
    const names = tags.stdout.trim().split("\n");
    for (const name of names) {
      const specs = [`${name}^{commit}:refs/heads/main`, `refs/tags/${name}`];
      await player.git(["push", "--quiet", player.remote("releases"), ...specs], { cwd: history.path });
    }
    const shown = await player.remoteRefs("releases");
    assert.equal(shown.length, names.length + 1);
    assert.equal((await player.pushes("releases")).length, names.length);
  });
});

describe("this project's own history", () => {
  let world: World;
  let player: Player;
  before(async function () {
    this.timeout(buildMs);
    if (!existsSync(join(root, ".git"))) skipSaying(this, "this copy has no history");
    world = await startWorld();
    player = await Player.at(world);
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  it("comes back from a clone with every object of its branch", async () => {
    const copy = player.home.at("own.git");
    await player.home.git(["clone", "--quiet", "--bare", root, copy]);
    await player.git(["push", "--quiet", player.remote("gitd"), "HEAD:refs/heads/main"], { cwd: copy });
    const clone = player.home.at("own-clone");
    await player.git(["clone", "--quiet", "--mirror", player.remote("gitd"), clone]);
    const only = player.home.at("only-head.git");
    await player.home.git(["init", "--quiet", "--bare", "--initial-branch=main", only]);
    await player.home.git(["push", "--quiet", only, "HEAD:refs/heads/main"], { cwd: copy });
    await player.home.assertSame(only, clone);
  });
});
