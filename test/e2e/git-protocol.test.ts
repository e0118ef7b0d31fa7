import assert from "node:assert/strict";
import { GitScene, versions } from "../support/git-scene.ts";
import type { Player } from "../support/player.ts";

describe("Git over smart HTTP", () => {
  let scene: GitScene;
  let player: Player;
  before(async function () {
    this.timeout(120_000);
    scene = await GitScene.open();
    ({ player } = scene);
  });
  after(() => scene?.[Symbol.asyncDispose]());

  for (const version of versions) {
    describe(`in protocol version ${version}`, () => {
      const protocol = ["-c", `protocol.version=${version}`];

      it("clones and fetches the same objects that were pushed", async () => {
        const copy = player.home.at(`clone-v${version}`);
        await player.git([...protocol, "clone", "--quiet", player.remote("repo"), copy]);
        assert.equal(await player.home.line(["rev-parse", "HEAD"], { cwd: copy }), scene.oid(-1));
        await player.home.git(["fsck", "--full", "--strict"], { cwd: copy });
        const mirror = player.home.at(`mirror-v${version}.git`);
        await player.git([...protocol, "clone", "--quiet", "--mirror", player.remote("repo"), mirror]);
        await player.home.assertSame(scene.work, mirror);
      });

      it("lists refs with HEAD as a symbolic ref, and peels tags", async () => {
        const { stdout } = await player.git([...protocol, "ls-remote", "--symref", player.remote("repo")]);
        assert.match(stdout, /^ref: refs\/heads\/main\tHEAD$/m);
        assert.match(stdout, new RegExp(`^${scene.oid(2)}\trefs/tags/v1\\^\\{\\}$`, "m"));
        const heads = await player.git([...protocol, "ls-remote", player.remote("repo"), "refs/heads/t*"]);
        assert.equal(heads.stdout, `${scene.oid(4)}\trefs/heads/topic\n`);
      });

      it("pushes creations, updates, forced updates and deletions", async () => {
        const remote = player.remote(`push-v${version}`);
        const push = async (...args: string[]): Promise<string> => {
          const { stderr } = await player.git([...protocol, "push", remote, ...args], { cwd: scene.work });
          return stderr;
        };
        assert.match(await push(`${scene.oid(3)}:refs/heads/main`), /remote: gitd: push 1 of .*queued/);
        await push(`${scene.oid(5)}:refs/heads/main`, "v1", `${scene.oid(1)}:refs/heads/old`);
        await push("--force", `${scene.oid(2)}:refs/heads/main`);
        await push("--delete", "old");
        const annotated = await player.home.line(["rev-parse", "v1"], { cwd: scene.work });
        assert.deepEqual(await player.remoteRefs(`push-v${version}`), [
          `${scene.oid(2)} refs/heads/main`,
          `${annotated} refs/tags/v1`,
        ]);
        assert.match(await push("main:refs/heads/main"), /main -> main/);
        assert.match(await push("main:refs/heads/main"), /up-to-date/);
        const pushes = await player.pushes(`push-v${version}`);
        assert.deepEqual(
          pushes.map(({ seq }) => seq),
          [1, 2, 3, 4, 5],
        );
      });

      it("fetches what is new, over several rounds of negotiation", async () => {
        const copy = player.home.at(`behind-v${version}`);
        await player.git([...protocol, "clone", "--quiet", player.remote("repo"), copy]);
        for (let at = 0; at < 40; at += 1)
          await player.home.git(["commit", "--quiet", "--allow-empty", "-m", `own ${at}`], { cwd: copy });
        const remote = player.remote("repo");
        const next = await scene.commitAt("2024-08-01T00:00:00Z", `for v${version}`, {
          [`v${version}.txt`]: "x\n",
        });
        await player.git(["push", "--quiet", remote, "main"], { cwd: scene.work });
        await player.git([...protocol, "fetch", "--quiet", "origin"], { cwd: copy });
        assert.equal(await player.home.line(["rev-parse", "origin/main"], { cwd: copy }), next);
        const { stderr } = await player.git([...protocol, "fetch", "origin"], { cwd: copy });
        assert.equal(stderr, "");
      });

      it("clones shallow, deepens and unshallows", async () => {
        const copy = player.home.at(`shallow-v${version}`);
        const file = [...protocol, "clone", "--quiet", "--depth=1", player.remote("repo"), copy];
        await player.git(file);
        assert.equal(await scene.count(copy, "origin/main"), 1);
        await player.git([...protocol, "fetch", "--quiet", "--deepen=2"], { cwd: copy });
        assert.equal(await scene.count(copy, "origin/main"), 3);
        await player.git([...protocol, "fetch", "--quiet", "--unshallow"], { cwd: copy });
        assert.equal(await scene.count(copy, "origin/main"), scene.commits.length);
        await player.home.git(["fsck", "--full", "--strict"], { cwd: copy });
      });
    });
  }
}).timeout(60_000);
