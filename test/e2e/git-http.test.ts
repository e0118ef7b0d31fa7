import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { GitScene } from "../support/git-scene.ts";
import type { Player } from "../support/player.ts";
import { flush } from "../support/raw-http.ts";

describe("HTTP as Git uses it", () => {
  let scene: GitScene;
  let player: Player;
  before(async function () {
    this.timeout(120_000);
    scene = await GitScene.open();
    ({ player } = scene);
  });
  after(() => scene?.[Symbol.asyncDispose]());

  describe("HTTP details", () => {
    it("asks for a credential in a way that git understands", async () => {
      const response = await fetch(`${player.remote("repo")}/info/refs?service=git-upload-pack`);
      assert.equal(response.status, 401);
      assert.match(response.headers.get("www-authenticate") ?? "", /^Basic realm="Gitd"/);
    });

    it("sends what no cache may keep, with the right types", async () => {
      for (const service of ["git-upload-pack", "git-receive-pack"]) {
        const response = await player.request({
          path: `/${player.path("repo")}.git/info/refs?service=${service}`,
        });
        assert.equal(response.headers["content-type"], `application/x-${service}-advertisement`);
        assert.match(response.headers["cache-control"] ?? "", /no-cache/);
        assert.ok(
          response.text.startsWith(`001e# service=${service}\n`) ||
            response.text.startsWith(`001f# service=${service}\n`),
        );
      }
    });

    it("refuses other methods and content types", async () => {
      const path = `/${player.path("repo")}.git/git-upload-pack`;
      assert.equal((await player.request({ path })).status, 405);
      const typed = await player.request({
        method: "POST",
        path,
        headers: { "content-type": "text/plain" },
        body: flush,
      });
      assert.equal(typed.status, 415);
    });

    it("says 100 Continue to who may push, and refuses who may not before the body is sent", async () => {
      const grant = await player.grant();
      const ask = (authorization: string | undefined): Promise<{ continued: boolean; status: number }> =>
        new Promise((resolve, reject) => {
          let continued = false;
          const sent = httpRequest(`${player.remote("repo")}/git-receive-pack`, {
            method: "POST",
            headers: {
              expect: "100-continue",
              "content-type": "application/x-git-receive-pack-request",
              "content-length": "4",
              ...(authorization === undefined ? {} : { authorization }),
            },
          });
          sent.on("continue", () => {
            continued = true;
            sent.end("0000");
          });
          sent.on("response", (answer) => {
            answer.resume();
            sent.destroy();
            resolve({ continued, status: answer.statusCode ?? 0 });
          });
          sent.on("error", reject);
          sent.flushHeaders();
        });
      assert.deepEqual(await ask(`Bearer ${grant}`), { continued: true, status: 200 });
      assert.deepEqual(await ask(undefined), { continued: false, status: 401 });
    });
  });
}).timeout(60_000);
