import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { skipSaying } from "../support/peers.ts";
import { GitHome } from "../support/git.ts";
import {
  Program,
  descendantsOf,
  isAlive,
  processList,
  run,
  startProgram,
  until,
} from "../support/processes.ts";
import { Wallet } from "../support/wallet.ts";
import { discoverService } from "../support/player.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const startMs = 120_000;
const stopMs = 40_000;

/** What somebody does first: clone the project, `npm start`, push, Ctrl-C. With what they have: git, node and npm. */
describe("a fresh checkout", () => {
  let folder: string;
  let checkout: string;
  let home: GitHome;
  before(async function () {
    this.timeout(startMs);
    folder = await mkdtemp(join(tmpdir(), "gitd-fresh-"));
    checkout = join(folder, "gitd");
    home = await GitHome.open();
    await copyCheckout(checkout);
  });
  after(async () => {
    await home?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  });

  it("starts with npm start, takes a push, gives it back, and one Ctrl-C ends all of it", async () => {
    await usesServer(startProgram("npm", ["start"], { cwd: checkout, env: bareEnvironment(home.path) }));
  }).timeout(startMs + stopMs + 60_000);

  it("does so for a plain user too", async function () {
    this.timeout(startMs + stopMs + 60_000);
    if (userInfo().uid !== 0) skipSaying(this, "already runs as a plain user");
    const as = { uid: await idOf("-u"), gid: await idOf("-g") };
    // NOTE: the packages are links to this checkout's own files, whose owner must not change.
    const own = [
      "-path",
      join(checkout, "node_modules"),
      "-prune",
      "-o",
      "-exec",
      "chown",
      `${as.uid}:${as.gid}`,
      "{}",
      "+",
    ];
    await run("find", [folder, ...own]);
    await run("chown", ["-R", `${as.uid}:${as.gid}`, home.path]);
    const env = { ...bareEnvironment(home.path), GITD_DATA: join(folder, "plain") };
    await usesServer(startProgram("npm", ["start"], { cwd: checkout, env, as }));
  });

  async function usesServer(program: Program): Promise<void> {
    await using server = program;
    const [, url = ""] = await server.line(/^gitd ready at (http:\/\/\S+)$/m, startMs);
    const below = await descendantsOf(server.pid);
    const wallet = new Wallet();
    const remote = `${url}/${wallet.address}/first.git`;
    const signedIn = {
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "http.extraHeader",
      GIT_CONFIG_VALUE_0: `Authorization: Bearer ${wallet.grant(await discoverService(url))}`,
    };
    await using mine = await GitHome.open();
    const work = await mine.init("work");
    await mine.commit(work, "first", { "README.md": "# first\n" });
    await mine.git(["push", remote, "main"], { cwd: work, env: signedIn });
    const clone = mine.at("clone");
    await mine.git(["clone", "--quiet", remote, clone], { env: signedIn });
    await mine.assertSame(work, clone);
    await server.stop("SIGINT", stopMs);
    for (const { pid, command } of below) {
      await until(`${command} to end`, async () => !(await isAlive(pid)));
    }
    const left = (await processList()).filter(({ command }) => command.includes(folder));
    assert.deepEqual(left, []);
  }
});

async function idOf(which: "-u" | "-g"): Promise<number> {
  return Number((await run("id", [which, "nobody"])).stdout);
}

/** Everything that git would commit, on top of the packages that are installed already. */
async function copyCheckout(to: string): Promise<void> {
  const listed = await run("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root });
  for (const name of listed.stdout.split("\0").filter((path) => path !== "")) {
    await mkdir(join(to, dirname(name)), { recursive: true });
    await cp(join(root, name), join(to, name), { preserveTimestamps: true }).catch(ignoreGone);
  }
  // NOTE: links to the same files where the disk allows it; installing again would take most of a minute.
  const copied = await run("cp", ["-al", join(root, "node_modules"), to], { timeoutMs: startMs });
  if (copied.code !== 0) await symlink(join(root, "node_modules"), join(to, "node_modules"));
}

/** A file that was deleted but not committed is still listed. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
}

/** The variables of a new login, with the programs of this machine: none of npm's own that this run was started with. */
function bareEnvironment(home: string): Record<string, string> {
  const folders = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((path) => !path.includes("node_modules"));
  return { PATH: folders.join(delimiter), HOME: home, LANG: "C.UTF-8", GITD_PORT: "0", GITD_FRONTS: "1" };
}
