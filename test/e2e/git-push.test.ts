import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { GitScene } from "../support/git-scene.ts";
import type { Player } from "../support/player.ts";

describe("A push with plain Git", () => {
  let scene: GitScene;
  let player: Player;
  before(async function () {
    this.timeout(120_000);
    scene = await GitScene.open();
    ({ player } = scene);
  });
  after(() => scene?.[Symbol.asyncDispose]());

  describe("an empty repository", () => {
    it("is cloned once its first push made it, with HEAD where that push put it", async () => {
      for (const [pushed, head] of [
        [["main", "topic"], "main"],
        [[`${scene.oid(1)}:refs/heads/master`, "topic"], "master"],
        [["topic"], "topic"],
      ] as const) {
        const name = `head-${head}`;
        await player.git(["push", "--quiet", player.remote(name), ...pushed], { cwd: scene.work });
        const { stdout } = await player.git(["ls-remote", "--symref", player.remote(name), "HEAD"]);
        assert.match(stdout, new RegExp(`^ref: refs/heads/${head}\tHEAD`));
      }
    });

    it("is not there for a stranger's namespace, or to read before it exists", async () => {
      const stranger = `0x${"9".repeat(40)}`;
      const push = await player.git(["push", `${scene.world.url}/${stranger}/x.git`, "main"], {
        cwd: scene.work,
        mayFail: true,
      });
      assert.match(push.stderr, /no such repository/);
      const read = await player.git(["clone", player.remote("nothing"), player.home.at("nothing")], {
        mayFail: true,
      });
      assert.match(read.stderr, /not found/);
    });

    it("keeps nothing of a first push that was refused", async () => {
      const { code } = await player.git(["push", player.remote("refused"), "main:refs/heads/a.lock/b"], {
        cwd: scene.work,
        mayFail: true,
      });
      assert.notEqual(code, 0);
      const { stderr } = await player.git(["ls-remote", player.remote("refused")], { mayFail: true });
      assert.match(stderr, /not found/);
    });
  });

  describe("pushing", () => {
    it("is all or nothing when atomic", async () => {
      const remote = player.remote("atomic");
      await player.git(["push", "--quiet", remote, `${scene.oid(2)}:refs/heads/main`], { cwd: scene.work });
      const both = [`${scene.oid(1)}:refs/heads/new`, ":refs/heads/main"];
      const failed = await player.git(["push", "--atomic", remote, ...both], {
        cwd: scene.work,
        mayFail: true,
      });
      assert.notEqual(failed.code, 0);
      assert.match(failed.stderr, /deletion of the current branch prohibited/);
      assert.deepEqual(await player.remoteRefs("atomic"), [`${scene.oid(2)} refs/heads/main`]);
      const partly = await player.git(["push", remote, ...both], { cwd: scene.work, mayFail: true });
      assert.match(partly.stderr, /\[new branch\].*new/);
      assert.match(partly.stderr, /\[remote rejected\].*deletion of the current branch/);
      assert.equal((await player.remoteRefs("atomic")).length, 2);
      await player.git(
        ["push", "--quiet", "--atomic", remote, `${scene.oid(3)}:main`, `${scene.oid(3)}:new`],
        {
          cwd: scene.work,
        },
      );
      assert.deepEqual(
        (await player.remoteRefs("atomic")).map((line) => line.split(" ")[0]),
        [scene.oid(3), scene.oid(3)],
      );
    });

    it("carries push options", async () => {
      const { stderr } = await player.git(
        ["push", "-o", "ci.skip", "-o", "a=b c", player.remote("options"), "main"],
        { cwd: scene.work },
      );
      assert.match(stderr, /queued for the chain/);
    });

    it("works from a shallow clone onto known history, and is refused onto none", async () => {
      const shallow = await scene.clone("shallow-pusher", "--depth=1");
      const next = await player.home.commit(shallow, "from shallow", { "s.txt": "s\n" });
      await player.git(["push", "--quiet", "origin", "HEAD:refs/heads/from-shallow"], { cwd: shallow });
      assert.ok((await player.remoteRefs("repo")).includes(`${next} refs/heads/from-shallow`));
      const refused = await player.git(["push", player.remote("rootless"), "HEAD:refs/heads/main"], {
        cwd: shallow,
        mayFail: true,
      });
      assert.match(refused.stderr, /shallow update not allowed/);
    });

    it("streams bodies beyond http.postBuffer in chunks, after asking with an empty one", async () => {
      const big = await player.home.init("chunked");
      await player.home.commit(big, "big", { "big.bin": randomBytes(3_000_000) });
      const env = { GIT_TRACE_CURL: "1", GIT_TRACE_CURL_NO_DATA: "1" };
      const { stderr } = await player.git(
        ["-c", "http.postBuffer=65536", "push", player.remote("chunked"), "main"],
        { cwd: big, env },
      );
      assert.match(stderr, /transfer-encoding: chunked/i);
      assert.match(stderr, /content-length: 4\b/i);
      const copy = player.home.at("chunked-copy");
      await player.git(["clone", "--quiet", player.remote("chunked"), copy]);
      await player.home.assertSame(big, copy);
    });

    it("brings a tag of a tag, an orphan branch, notes and an empty commit", async () => {
      const odd = await player.home.init("odd");
      await player.home.commit(odd, "one", { a: "a\n" });
      await player.home.git(["commit", "--quiet", "--allow-empty", "-m", "empty"], { cwd: odd });
      await player.home.git(["tag", "-a", "inner", "-m", "inner"], { cwd: odd });
      await player.home.git(["tag", "-a", "outer", "-m", "outer", "inner"], { cwd: odd });
      await player.home.git(["notes", "add", "-m", "note"], { cwd: odd });
      await player.git(["push", "--quiet", "--mirror", player.remote("odd")], { cwd: odd });
      const copy = player.home.at("odd-copy.git");
      await player.git(["clone", "--quiet", "--mirror", player.remote("odd"), copy]);
      await player.home.assertSame(odd, copy);
      const { stdout } = await player.git(["ls-remote", player.remote("odd"), "refs/tags/outer*"]);
      const tip = await player.home.line(["rev-parse", "HEAD"], { cwd: odd });
      assert.match(stdout, new RegExp(`${tip}\trefs/tags/outer\\^\\{\\}`));
    });

    it("says where its record is, also to a quiet pusher's eyes", async () => {
      const { stderr } = await player.git(["push", player.remote("told"), "main"], { cwd: scene.work });
      assert.match(stderr, /remote: gitd: manifest baf[a-z2-7]+/);
      assert.match(stderr, /remote: gitd: contributors Ada Author \(\d+\)/);
    });

    it("with 1,500 refs lists one of them quickly afterwards", async function () {
      this.timeout(60_000);
      const wide = await player.home.init("wide");
      const tip = await player.home.commit(wide, "tip", { a: "a\n" });
      const lines = Array.from({ length: 1500 }, (_, at) => `create refs/heads/b${at} ${tip}\n`).join("");
      await player.home.git(["update-ref", "--stdin"], { cwd: wide, input: lines });
      await player.git(["push", "--quiet", player.remote("wide"), "--all"], { cwd: wide });
      const listed = await player.git(["ls-remote", player.remote("wide"), "refs/heads/b1499"]);
      assert.equal(listed.stdout, `${tip}\trefs/heads/b1499\n`);
      await player.git(["push", "--quiet", player.remote("wide"), ":b17", `${tip}:refs/heads/c`], {
        cwd: wide,
      });
      assert.equal((await player.remoteRefs("wide")).length, 1501);
    });
  });
}).timeout(60_000);
