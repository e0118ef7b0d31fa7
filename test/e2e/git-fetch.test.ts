import assert from "node:assert/strict";
import { GitScene, delimiter, versions } from "../support/git-scene.ts";
import type { Player } from "../support/player.ts";

describe("A fetch with plain Git", () => {
  let scene: GitScene;
  let player: Player;
  before(async function () {
    this.timeout(120_000);
    scene = await GitScene.open();
    ({ player } = scene);
  });
  after(() => scene?.[Symbol.asyncDispose]());

  describe("fetching", () => {
    it("cuts history off by date and by ref", async () => {
      const since = await scene.clone("since", "--shallow-since=2024-04-15", "--branch=topic");
      assert.equal(await scene.count(since, "HEAD"), 1);
      const excluded = await scene.clone("exclude", "--shallow-exclude=v1", "--branch=topic");
      assert.equal(await scene.count(excluded, "HEAD"), 2);
    });

    it("leaves blobs out and gets them when they are needed", async () => {
      const partial = await scene.clone("partial", "--filter=blob:none", "--no-checkout");
      const missing = await player.home.git(["rev-list", "--objects", "--missing=print", "HEAD"], {
        cwd: partial,
      });
      assert.match(missing.stdout, /^\?/m);
      await player.git(["checkout", "--quiet", "main"], { cwd: partial });
      const shown = await player.git(["show", `${scene.oid(0)}:file-0.txt`], { cwd: partial });
      assert.equal(shown.stdout, "0\n".repeat(200));
      const treeless = await scene.clone("treeless", "--filter=tree:0");
      await player.git(["log", "--stat", "--oneline"], { cwd: treeless });
      await scene.clone("limited", "--filter=blob:limit=1k");
      await scene.clone("combined", "--filter=combine:blob:none+tree:3");
    });

    it("gives an oid that is reachable though no ref names it", async () => {
      const empty = await player.home.init("by-oid");
      for (const version of versions) {
        await player.git(
          ["-c", `protocol.version=${version}`, "fetch", "--quiet", player.remote("repo"), scene.oid(1)],
          {
            cwd: empty,
          },
        );
        assert.equal(await player.home.line(["rev-parse", "FETCH_HEAD"], { cwd: empty }), scene.oid(1));
      }
    });

    it("sends refs asked for by prefix, with peeled tags and the symbolic HEAD", async () => {
      const listed = await scene.command(
        "command=ls-refs\n",
        delimiter,
        "peel\n",
        "symrefs\n",
        "unborn\n",
        "ref-prefix HEAD\n",
        "ref-prefix refs/tags/v\n",
      );
      assert.equal(listed.status, 200);
      const tag = await player.home.line(["rev-parse", "v1"], { cwd: scene.work });
      assert.ok(listed.text.includes(`${scene.oid(-1)} HEAD symref-target:refs/heads/main`));
      assert.ok(listed.text.includes(`${tag} refs/tags/v1 peeled:${scene.oid(2)}`));
      assert.doesNotMatch(listed.text, /refs\/heads\/topic|refs\/tags\/light/);
    });

    it("advertises and serves ref-in-want, wait-for-done and object-info", async () => {
      const path = `/${player.path("repo")}.git/info/refs?service=git-upload-pack`;
      const advertised = await player.request({ path, headers: { "git-protocol": "version=2" } });
      for (const capability of [
        "ls-refs=unborn",
        "ref-in-want",
        "filter",
        "shallow",
        "wait-for-done",
        "object-info",
        "object-format=sha1",
        "session-id=",
      ]) {
        assert.ok(advertised.text.includes(capability), `${capability} in ${advertised.text}`);
      }
      assert.doesNotMatch(advertised.text, /# service/);
      const wanted = await scene.command(
        "command=fetch\n",
        delimiter,
        "want-ref refs/heads/topic\n",
        "done\n",
      );
      assert.match(wanted.text, new RegExp(`wanted-refs\n....${scene.oid(4)} refs/heads/topic\n`));
      assert.match(wanted.text, /packfile\n/);
      const waiting = await scene.command(
        "command=fetch\n",
        delimiter,
        `want ${scene.oid(4)}\n`,
        `have ${scene.oid(0)}\n`,
        "wait-for-done\n",
      );
      assert.match(waiting.text, new RegExp(`acknowledgments\n....ACK ${scene.oid(0)}`));
      assert.doesNotMatch(waiting.text, /packfile/);
      const blob = await player.home.line(["rev-parse", "HEAD:file-0.txt"], { cwd: scene.work });
      const info = await scene.command("command=object-info\n", delimiter, "size\n", `oid ${blob}\n`);
      assert.ok(info.text.includes(`${blob} 400`), info.text);
    });

    it("fetches by ref-in-want from a shallow clone, in the order that clients read", async () => {
      const answer = await scene.command(
        "command=fetch\n",
        delimiter,
        "want-ref refs/heads/topic\n",
        "deepen 1\n",
        "done\n",
      );
      const shallow = answer.text.indexOf("shallow-info");
      const wanted = answer.text.indexOf("wanted-refs");
      assert.ok(shallow > 0 && wanted > shallow, answer.text.slice(0, 300));
    });

    it("takes requests that git compresses, as it does from 1,024 bytes on", async () => {
      const many = await player.home.init("many");
      await player.home.commit(many, "first", { a: "a\n" });
      await player.git(["push", "--quiet", player.remote("many"), "main"], { cwd: many });
      const copy = player.home.at("many-copy");
      await player.git(["clone", "--quiet", player.remote("many"), copy]);
      for (let at = 0; at < 30; at += 1) {
        await player.home.git(["checkout", "--quiet", "-b", `b${at}`, "main"], { cwd: many });
        await player.home.git(["commit", "--quiet", "--allow-empty", "-m", `own ${at}`], { cwd: many });
      }
      await player.git(["push", "--quiet", player.remote("many"), "--all"], { cwd: many });
      const env = { GIT_TRACE_CURL: "1", GIT_TRACE_CURL_NO_DATA: "1" };
      const { stderr } = await player.git(["-c", "protocol.version=0", "fetch", "--quiet"], {
        cwd: copy,
        env,
      });
      assert.ok(/content-encoding: gzip/i.test(stderr), "git did not compress its wants");
      assert.equal(await scene.count(copy, "--all"), 31);
    });
  });
}).timeout(60_000);
