import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { GitHome } from "./support/git.ts";
import { type RunResult, run } from "./support/processes.ts";
import { realHistory } from "./support/real-history.ts";
import { type World, startWorld } from "./support/world.ts";

/**
 * `npm run demo`: the whole story on real input, with the commands a person would type. Each step says what it proves,
 * and the demo ends with an error at the first one that does not hold.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const gitd = join(root, "cli", "gitd");
const commandMs = 120_000;

/** Somebody at a terminal: a home folder of their own, git, and `gitd` with a wallet. */
class Person implements AsyncDisposable {
  readonly name: string;
  readonly home: GitHome;
  readonly #url: string;

  private constructor(name: string, home: GitHome, url: string) {
    this.name = name;
    this.home = home;
    this.#url = url;
  }

  static async at(url: string, name: string): Promise<Person> {
    const person = new Person(name, await GitHome.open(), url);
    for (const args of [["wallet", "new"], ["faucet"], ["login"]]) await person.gitd(...args);
    return person;
  }

  get #environment(): Record<string, string> {
    return {
      ...this.home.environment,
      GITD_URL: this.#url,
      GITD_HOME: this.home.at(".gitd"),
      GITD_PASSPHRASE: `the demo's ${this.name}`,
    };
  }

  async gitd(...args: string[]): Promise<string> {
    const result = await run(gitd, args, {
      cwd: this.home.path,
      env: this.#environment,
      timeoutMs: commandMs,
    });
    type(this.name, `gitd ${args.join(" ")}`);
    if (result.code !== 0)
      throw new Error(`gitd ended with ${result.code}:\n${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  async git(args: readonly string[], cwd = this.home.path, mayFail = false): Promise<RunResult> {
    type(this.name, `git ${args.join(" ")}`);
    return this.home.git(args, { cwd, env: this.#environment, timeoutMs: commandMs, mayFail });
  }

  async address(): Promise<string> {
    const address = /0x[0-9a-fA-F]{40}/.exec(await this.gitd("wallet", "list"))?.[0];
    if (address === undefined) throw new Error(`${this.name} has no wallet`);
    return address.toLowerCase();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.home[Symbol.asyncDispose]();
  }
}

async function main(): Promise<void> {
  step("Real input", "an npm package's every published version, as commits with their own dates and authors");
  const history = await realHistory();
  say(`${history.commits} commits, ${history.files} paths, tip ${history.tip.slice(0, 12)}`);

  step("One program", "front, IPFS node, chain and contracts come up together");
  await using world = await startWorld();
  say(`gitd ready at ${world.url}`);
  await using creator = await Person.at(world.url, "creator");
  const path = `${await creator.address()}/connect`;
  const remote = `${world.url}/${path}.git`;

  await pushStory(creator, remote, path, history.path);
  await readStory(world, path, remote, history.path);
  await ownHistoryStory(creator, world, path);
  await restoreStory(creator, path, history.path);
  say("\nEverything above held.");
}

async function pushStory(creator: Person, remote: string, path: string, source: string): Promise<void> {
  step("Push with stock git", "the first push to a name in one's own namespace creates the repository");
  const specs = ["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"];
  const pushed = await creator.git(["push", remote, ...specs], source);
  quote(pushed.stderr.split("\n").filter((line) => line.startsWith("remote:")));

  step("Recorded on chain", "the registry holds the push: who, what, which manifest");
  quote((await creator.gitd("log", path)).split("\n"));
}

async function readStory(world: World, path: string, remote: string, source: string): Promise<void> {
  step("A reader without a bond", "a bonded repository is refused in words that say how to mend it");
  await using reader = await Person.at(world.url, "reader");
  const refused = await reader.git(["clone", remote, "refused"], reader.home.path, true);
  assert.notEqual(refused.code, 0);
  quote(refused.stderr.split("\n"));

  step("A reader with a bond", "the same command works, and every object is the one that was pushed");
  quote((await reader.gitd("bond", "open", "100")).split("\n"));
  const clone = reader.home.at("connect.git");
  await reader.git(["clone", "--quiet", "--mirror", remote, clone]);
  await reader.home.assertSame(source, clone);
  say(
    `${(await reader.home.objects(clone)).length} objects are the same; git fsck --full --strict finds no fault`,
  );

  step("Metered", "the bond's quota shows the bytes that were sent");
  quote((await reader.gitd("bond", "status")).split("\n"));
  say(`of ${path}`);
}

async function ownHistoryStory(creator: Person, world: World, path: string): Promise<void> {
  if (!existsSync(join(root, ".git"))) return;
  step("This project's own history", "goes the same way");
  const own = `${path.split("/")[0]}/gitd`;
  await creator.git(["push", "--quiet", `${world.url}/${own}.git`, "HEAD:refs/heads/main"], root);
  quote((await creator.gitd("log", own)).split("\n"));
}

async function restoreStory(creator: Person, path: string, source: string): Promise<void> {
  step("Restore", "the chain's head and IPFS alone give the repository back");
  const into = creator.home.at("restored.git");
  quote((await creator.gitd("restore", path, "--into", into)).split("\n"));
  await creator.home.assertSame(source, into);
  say("the same refs and objects; git fsck --full --strict finds no fault");
}

function step(title: string, proves: string): void {
  process.stdout.write(`\n== ${title}\n   ${proves}\n`);
}

function type(who: string, command: string): void {
  say(`${who}$ ${command}`);
}

function say(text: string): void {
  process.stdout.write(`   ${text}\n`);
}

function quote(lines: readonly string[]): void {
  for (const line of lines) {
    if (line.trim() !== "") process.stdout.write(`   | ${line}\n`);
  }
}

await main();
