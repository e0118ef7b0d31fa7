import assert from "node:assert/strict";
import { corrupted, countOf, counted, packOf, packOfObjects, sealed } from "../support/packs.ts";
import { Player, keptFiles, serversGit } from "../support/player.ts";
import { type RawResponse, isRefusal, pushCommands } from "../support/raw-http.ts";
import { until } from "../support/processes.ts";
import { type World, startWorld } from "../support/world.ts";

const zero = "0".repeat(40);

describe("a hostile push", () => {
  let world: World;
  let player: Player;
  let work: string;
  let tip: string;
  before(async () => {
    world = await startWorld();
    player = await Player.at(world);
    work = await player.home.init("work");
    tip = await player.home.commit(work, "base", { "a.txt": "a\n", "folder/b.txt": "b\n" });
    await player.git(["push", "--quiet", player.remote("target"), "main"], { cwd: work });
  });
  after(async () => {
    await player?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  describe("with a pack that is", () => {
    let next: string;
    let pack: Buffer;
    before(async () => {
      await player.home.git(["checkout", "--quiet", "-B", "next", tip], { cwd: work });
      next = await player.home.commit(work, "next", { "folder/c.txt": "c\n".repeat(500) });
      pack = await packOf(player.home, work, next, [tip]);
    });

    const cases: [what: string, make: () => Buffer | Promise<Buffer>][] = [
      ["corrupted", () => corrupted(pack)],
      ["truncated", () => pack.subarray(0, -30)],
      ["cut in its header", () => pack.subarray(0, 9)],
      ["absent", () => Buffer.alloc(0)],
      ["counted too high", () => counted(pack, countOf(pack) + 1)],
      ["counted too low", () => counted(pack, countOf(pack) - 1)],
      ["counted absurdly high", () => counted(pack, 0xffffffff)],
      [
        "of another version",
        () => sealed(Buffer.concat([Buffer.from("PACK\0\0\0\x09"), pack.subarray(8, -20)])),
      ],
      ["no pack at all", () => Buffer.from("GIF89a, and so on and on and on until the end of it")],
      ["without a blob that its tree names", () => packWithout(next, "blob")],
      ["without a tree that its commit names", () => packWithout(next, "tree")],
      ["without the commit that its ref names", () => packWithout(next, "commit")],
    ];
    for (const [what, make] of cases) {
      it(`${what} is refused and leaves nothing`, async () => {
        const bytes = await make();
        const refused = await refusedPush([[tip, next, "refs/heads/main"]], bytes);
        assert.doesNotMatch(refused.text, /internal|\bat .*\.ts:/);
      });
    }

    it("followed by rubbish brings in no rubbish", async () => {
      const body = Buffer.concat([
        pushCommands([[zero, next, "refs/heads/tail"]]),
        pack,
        Buffer.from("rubbish"),
      ]);
      const response = await pushRaw(body);
      assert.ok(response.status < 500, response.text);
      const clone = player.home.at("after-rubbish");
      await player.git(["clone", "--quiet", "--mirror", player.remote("target"), clone]);
      await player.home.git(["fsck", "--full", "--strict"], { cwd: clone });
      await player.git(["push", "--quiet", player.remote("target"), ":refs/heads/tail"], {
        cwd: work,
        mayFail: true,
      });
    });
  });

  describe("with an object that fsck refuses", () => {
    const commitOf = (root: string, author = "A <a@b> 1700000000 +0000"): string =>
      `tree ${root}\nauthor ${author}\ncommitter A <a@b> 1700000000 +0000\n\nbad\n`;
    const cases: [what: string, make: (blob: string) => Promise<string>][] = [
      ["a tree with .git", async (blob) => write("commit", commitOf(await tree([["100644", ".git", blob]])))],
      ["a tree with ..", async (blob) => write("commit", commitOf(await tree([["100644", "..", blob]])))],
      ["a tree with .GIT", async (blob) => write("commit", commitOf(await tree([["100644", ".GIT", blob]])))],
      [
        "a tree with one name twice",
        async (blob) =>
          write(
            "commit",
            commitOf(
              await tree([
                ["100644", "a", blob],
                ["100644", "a", blob],
              ]),
            ),
          ),
      ],
      [
        "a tree out of order",
        async (blob) =>
          write(
            "commit",
            commitOf(
              await tree([
                ["100644", "b", blob],
                ["100644", "a", blob],
              ]),
            ),
          ),
      ],
      [
        "a commit without an author's e-mail",
        async (blob) => write("commit", commitOf(await tree([["100644", "a", blob]]), "A 1700000000 +0000")),
      ],
      [
        "a .gitmodules that runs a command",
        async () => {
          const modules = await write("blob", '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n');
          return write("commit", commitOf(await tree([["100644", ".gitmodules", modules]])));
        },
      ],
    ];
    for (const [what, make] of cases) {
      it(`such as ${what} is refused and leaves nothing`, async () => {
        const blob = await write("blob", "bad\n");
        const commit = await make(blob);
        const pack = await packOf(player.home, work, commit);
        await refusedPush([[zero, commit, "refs/heads/bad"]], pack);
      });
    }
  });

  describe("of refs", () => {
    const names = [
      "refs/heads/a..b",
      "refs/heads/.hidden",
      "refs/heads/a.lock",
      "refs/heads/a b",
      "refs/heads/a~1",
      "refs/heads/a^",
      "refs/heads/a:b",
      "refs/heads/a?",
      "refs/heads/a*",
      "refs/heads/a[",
      "refs/heads/a\\b",
      "refs/heads/a@{b",
      "refs/heads/",
      "refs/heads//a",
      "refs/heads/a/",
      "refs/heads/a.",
      "refs/heads/\x01",
      "refs/heads/\x7f",
      "refs/../config",
      "refs/heads/../../config",
      "HEAD",
      "main",
      "config",
      `refs/heads/${"x".repeat(4000)}`,
    ];
    for (const name of names) {
      it(`called ${JSON.stringify(name.slice(0, 40))} is refused`, async () => {
        await refusedPush([[zero, tip, name]], await emptyPack());
      });
    }

    it("below an existing one is refused", async () => {
      await refusedPush([[zero, tip, "refs/heads/main/below"]], await emptyPack());
    });

    it("with a stale old oid is refused", async () => {
      await refusedPush([["1".repeat(40), tip, "refs/heads/main"]], await emptyPack());
      await refusedPush([[zero, tip, "refs/heads/main"]], await emptyPack());
      await refusedPush([["1".repeat(40), zero, "refs/heads/main"]], Buffer.alloc(0));
    });

    it("to an object that does not exist is refused", async () => {
      await refusedPush([[zero, "2".repeat(40), "refs/heads/ghost"]], await emptyPack());
    });

    it("as one with a bad one changes nothing when atomic", async () => {
      const updates = [
        [zero, tip, "refs/heads/good"],
        ["1".repeat(40), tip, "refs/heads/main"],
      ] as const;
      await refusedPush(updates, await emptyPack(), "report-status atomic object-format=sha1");
    });
  });

  function emptyPack(): Promise<Buffer> {
    return packOfObjects(player.home, work, []);
  }

  function write(type: "blob" | "commit", content: string): Promise<string> {
    return player.home.line(["hash-object", "-w", "--literally", "-t", type, "--stdin"], {
      cwd: work,
      input: content,
    });
  }

  function tree(entries: readonly (readonly [mode: string, name: string, oid: string])[]): Promise<string> {
    const input = Buffer.concat(
      entries.flatMap(([mode, name, oid]) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, "hex")]),
    );
    return player.home.line(["hash-object", "-w", "--literally", "-t", "tree", "--stdin"], {
      cwd: work,
      input,
    });
  }

  async function packWithout(commit: string, type: string): Promise<Buffer> {
    const listed = await player.home.git(
      ["rev-list", "--objects", "--no-object-names", `${tip}..${commit}`],
      { cwd: work },
    );
    const checked = await player.home.git(["cat-file", "--batch-check"], { cwd: work, input: listed.stdout });
    const kept = checked.stdout
      .trim()
      .split("\n")
      .filter((line) => line.split(" ")[1] !== type)
      .map((line) => line.split(" ")[0] ?? "");
    return packOfObjects(player.home, work, kept);
  }

  async function pushRaw(body: Buffer): Promise<RawResponse> {
    return player.request({
      method: "POST",
      path: `/${player.path("target")}.git/git-receive-pack`,
      headers: { "content-type": "application/x-git-receive-pack-request" },
      body,
    });
  }

  /** Pushes, and checks that it is refused in words, changes no ref, keeps no file and leaves a server that works. */
  async function refusedPush(
    updates: Parameters<typeof pushCommands>[0],
    pack: Buffer,
    capabilities?: string,
  ): Promise<RawResponse> {
    const refs = await player.remoteRefs("target");
    const files = await keptFiles(world);
    const response = await pushRaw(Buffer.concat([pushCommands(updates, capabilities), pack]));
    const reported = response.status === 200 && isRefusal(response.text);
    assert.ok(
      reported || (response.status >= 400 && response.status < 500),
      `${response.status} ${response.text}`,
    );
    assert.deepEqual(await player.remoteRefs("target"), refs);
    await until("git to end", async () => (await serversGit(world)).length === 0);
    await until("nothing to be kept", async () => (await keptFiles(world)).join() === files.join(), 3000);
    return response;
  }
});
