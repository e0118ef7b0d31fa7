import assert from "node:assert/strict";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Person } from "../support/person.ts";
import { until } from "../support/processes.ts";
import { type World, startWorld } from "../support/world.ts";

const bonds = z.object({
  bonds: z.array(z.object({ id: z.string(), deposit: z.string(), used: z.object({ calls: z.string() }) })),
});
const pushes = z.object({
  pushes: z.array(z.object({ seq: z.string(), state: z.string(), manifest: z.string() })),
});
const info = z.object({ registry: z.string(), rpcUrl: z.string(), ipfs: z.array(z.string()) });

describe("gitd at a terminal", function () {
  this.timeout(120_000);
  let world: World;
  let owner: Person;
  let reader: Person;
  let account: string;
  let path: string;
  let remote: string;

  before(async () => {
    world = await startWorld();
    owner = await Person.at(world.url);
    reader = await Person.at(world.url);
    for (const person of [owner, reader]) {
      for (const args of [["wallet", "new"], ["faucet"], ["login"]]) await person.gitd(...args);
    }
    account = await owner.address();
    path = `${account}/tool`;
    remote = `${world.url}/${path}.git`;
    const work = await owner.home.init("work");
    await owner.home.commit(work, "first", { "a.txt": "a\n" });
    await owner.git(["push", "--quiet", remote, "main"], { cwd: work });
  });
  after(async () => {
    await owner?.[Symbol.asyncDispose]();
    await reader?.[Symbol.asyncDispose]();
    await world?.stop();
  });

  it("keeps keys and logins where only their owner may read them", async () => {
    const folder = join(owner.home.path, ".gitd");
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
      entry.isFile(),
    );
    assert.ok(files.length >= 3);
    for (const entry of files) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      assert.equal(mode & 0o077, 0, entry.name);
      assert.doesNotMatch(
        await readFile(join(entry.parentPath, entry.name), "utf8"),
        /privateKey|a passphrase for tests/,
      );
    }
  });

  it("answers git for its own host only", async () => {
    const ask = async (host: string) =>
      (await owner.try(["credential", "get"], { input: `protocol=http\nhost=${host}\n\n` })).stdout;
    assert.match(await ask(new URL(world.url).host), /^username=0x[0-9a-f]{40}\npassword=gitd1\./);
    assert.equal(await ask("127.0.0.1:1"), "");
  });

  it("shows a push with its state on chain", async () => {
    const logged = await until(
      "the push to be on chain",
      async () => {
        const found = await owner.json(pushes, "log", path);
        return found.pushes.every(({ state }) => state === "recorded") ? found.pushes : undefined;
      },
      30_000,
      200,
    );
    assert.deepEqual(
      logged.map(({ seq }) => seq),
      ["1"],
    );
  });

  it("opens a bond, reads with it, adds to it, and takes some back", async () => {
    const refused = await reader.git(["clone", remote, reader.home.at("refused")], { mayFail: true });
    assert.match(refused.stderr, /gitd bond open/);
    assert.equal(await reader.gitd("bond", "open", "5"), "1");
    await reader.git(["clone", "--quiet", remote, reader.home.at("clone")]);
    await reader.gitd("bond", "top-up", "1", "2.5");
    await reader.gitd("bond", "thaw", "1", "1");
    const [bond] = (await reader.json(bonds, "bond", "status")).bonds;
    assert.equal(bond?.deposit, "7500000");
    assert.equal(bond?.used.calls, "1");
    const early = await reader.try(["bond", "withdraw", "1"]);
    assert.equal(early.code, 1);
    assert.match(early.stderr, /nothing has thawed yet/);
  });

  it("prints a Grant and nothing else, and revokes it for good", async () => {
    const grant = await owner.gitd(
      "grant",
      "create",
      "--cap",
      "1",
      "--expires",
      "1h",
      "--scope",
      `${path}:read`,
    );
    assert.match(grant, /^gitd1\.[\w-]+\.[0-9a-f]{130}$/);
    const read = async () =>
      (
        await fetch(`${remote}/info/refs?service=git-upload-pack`, {
          headers: { authorization: `Bearer ${grant}` },
        })
      ).status;
    assert.equal(await read(), 200);
    const revoked = await owner.try(["grant", "revoke", "-"], { input: `${grant}\n` });
    assert.equal(revoked.code, 0, revoked.stderr);
    assert.equal(await read(), 401);
  });

  it("voids every Grant under a bond at once", async () => {
    const grant = await reader.gitd("grant", "create", "--scope", `${path}:read`, "--bond", "1");
    await reader.gitd("grant", "revoke", "--all", "1");
    await until(
      "the server to have seen the new epoch",
      async () => {
        const response = await fetch(`${remote}/info/refs?service=git-upload-pack`, {
          headers: { authorization: `Bearer ${grant}` },
        });
        return response.status === 401 ? true : undefined;
      },
      30_000,
      200,
    );
  });

  it("sets policy, price and writers, for the owner only", async () => {
    await owner.gitd("repo", "price", path, "--per-call", "0.002", "--per-gib", "0.05");
    await owner.gitd("repo", "writers", path, "--add", await reader.address());
    assert.equal(await owner.gitd("repo", "writers", path), await reader.address());
    const foreign = await reader.try(["repo", "policy", path, "open"]);
    assert.equal(foreign.code, 1);
    assert.match(foreign.stderr, /only 0x/);
  });

  it("makes SHA-256 repositories that git pushes to and clones", async () => {
    await owner.gitd(
      "repo",
      "create",
      `${account}/wide`,
      "--object-format",
      "sha256",
      "--default-branch",
      "trunk",
    );
    const url = `${world.url}/${account}/wide.git`;
    const work = owner.home.at("wide");
    await owner.git(["init", "--quiet", "--object-format=sha256", "--initial-branch=trunk", work]);
    await owner.home.commit(work, "first", { "a.txt": "a\n" });
    await owner.git(["push", "--quiet", url, "trunk"], { cwd: work });
    const clone = owner.home.at("wide-clone");
    await owner.git(["clone", "--quiet", url, clone]);
    const head = await owner.home.line(["rev-parse", "HEAD"], { cwd: clone });
    assert.equal(head, await owner.home.line(["rev-parse", "HEAD"], { cwd: work }));
    assert.equal(head.length, 64);
  });

  it("claims a readable namespace, and pushes there", async () => {
    await owner.gitd("namespace", "claim", "acme");
    const url = `${world.url}/acme/tool.git`;
    const pushed = await until(
      "the server to have seen the namespace",
      async () => {
        const result = await owner.git(["push", url, "main"], { cwd: owner.home.at("work"), mayFail: true });
        return result.code === 0 ? result : undefined;
      },
      30_000,
      200,
    );
    assert.match(pushed.stderr, /manifest baf/);
    const taken = await reader.try(["namespace", "claim", "acme"]);
    assert.match(taken.stderr, /this namespace is taken/);
  });

  it("restores a bonded repository through the gateway with a Grant, and an open one from an IPFS peer alone", async () => {
    const through = owner.home.at("through-gateway.git");
    await owner.gitd("restore", path, "--into", through);
    await owner.home.assertSame(owner.home.at("work"), through);

    const place = info.parse(await (await fetch(`${world.url}/api/v1/info`)).json());
    const stranger = await Person.at("http://127.0.0.1:1");
    try {
      const into = stranger.home.at("restored.git");
      const args = [
        "restore",
        path,
        "--into",
        into,
        "--registry",
        place.registry,
        "--rpc",
        place.rpcUrl,
        "--peer",
        place.ipfs[0] ?? "",
      ];
      await owner.gitd("repo", "policy", path, "open");
      await stranger.gitd(...args);
      await stranger.home.assertSame(owner.home.at("work"), into);
    } finally {
      await stranger[Symbol.asyncDispose]();
    }
  });

  it("ends with the exit codes that its help lists", async () => {
    assert.equal((await owner.try(["nonsense"])).code, 2);
    assert.equal((await owner.try(["bond", "open"])).code, 2);
    assert.equal((await owner.try(["bond", "open", "x"])).code, 1);
    assert.equal((await owner.try(["repo", "list"], { env: { GITD_URL: "http://127.0.0.1:1" } })).code, 3);
    const wrong = await owner.try(["repo", "list"], { env: { GITD_PASSPHRASE: "not the passphrase" } });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /does not open wallet/);
    assert.match(await owner.gitd("--help"), /Exit codes/);
  });
});
