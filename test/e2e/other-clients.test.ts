import assert from "node:assert/strict";
import fs from "node:fs";
import git from "isomorphic-git";
import http from "isomorphic-git/http/node";
import { simpleGit } from "simple-git";
import { GitScene } from "../support/git-scene.ts";

describe("Clients that are not Git's own", () => {
  let scene: GitScene;
  before(async function () {
    this.timeout(120_000);
    scene = await GitScene.open();
  });
  after(() => scene?.[Symbol.asyncDispose]());

  it("clone and push with isomorphic-git", async () => {
    const dir = scene.player.home.at("isomorphic");
    const password = await scene.player.grant();
    const onAuth = () => ({ username: scene.player.wallet.address, password });
    const url = scene.player.remote("repo");
    await git.clone({ fs, http, dir, url, onAuth });
    assert.equal(await git.resolveRef({ fs, dir, ref: "HEAD" }), scene.oid(-1));
    await fs.promises.writeFile(`${dir}/new.txt`, "new\n");
    await git.add({ fs, dir, filepath: "new.txt" });
    const author = { name: "Iso", email: "iso@example.org" };
    const oid = await git.commit({ fs, dir, message: "from isomorphic-git", author });
    const pushed = await git.push({
      fs,
      http,
      dir,
      remote: "origin",
      ref: "main",
      remoteRef: "refs/heads/iso",
      onAuth,
    });
    assert.equal(pushed.ok, true);
    assert.ok((await scene.player.remoteRefs("repo")).includes(`${oid} refs/heads/iso`));
  });

  it("clone with simple-git", async () => {
    const dir = scene.player.home.at("simple");
    const { wallet } = scene.player;
    const url = new URL(scene.player.remote("repo"));
    url.username = wallet.address;
    url.password = await scene.player.grant();
    await simpleGit().clone(url.href, dir);
    assert.equal((await simpleGit(dir).revparse(["HEAD"])).trim(), scene.oid(-1));
  });
});
