import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const binFolder = new URL("../../hooks/bin/", import.meta.url).pathname;

describe("the hook executables for an existing bare repository", () => {
  let root: string;
  const at = (name: string): string => join(root, name);
  const git = async (...args: string[]): Promise<string> => {
    const env = {
      PATH: process.env["PATH"],
      HOME: root,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_AUTHOR_NAME: "Ann",
      GIT_AUTHOR_EMAIL: "ann@example.org",
      GIT_COMMITTER_NAME: "Ann",
      GIT_COMMITTER_EMAIL: "ann@example.org",
    };
    const { stdout, stderr } = await run("git", args, { env, timeout: 20_000 });
    return `${stdout}${stderr}`;
  };
  const refs = async (name: string): Promise<string> =>
    git("--git-dir", at(name), "for-each-ref", "--format=%(objectname) %(refname)");

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "gitd-hooks-"));
    for (const name of ["origin.git", "recorded.git"])
      await git("init", "--quiet", "--bare", "-b", "main", at(name));
    await git("--git-dir", at("recorded.git"), "config", "receive.advertisePushOptions", "true");
    await git("--git-dir", at("origin.git"), "config", "receive.advertisePushOptions", "true");
    await git("--git-dir", at("origin.git"), "config", "gitd.remote", at("recorded.git"));
    for (const hook of ["pre-receive", "post-receive"]) {
      await copyFile(join(binFolder, hook), join(at("origin.git"), "hooks", hook));
    }
    await git("init", "--quiet", "-b", "main", at("work"));
    await git("-C", at("work"), "commit", "--quiet", "--allow-empty", "-m", "one");
    await git("-C", at("work"), "remote", "add", "origin", at("origin.git"));
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  it("mirror creations, forced updates and deletions", async () => {
    await git("-C", at("work"), "push", "-o", "it's one", "origin", "main", "main:refs/heads/b'c", "main:x");
    assert.equal(await refs("recorded.git"), await refs("origin.git"));
    await git("-C", at("work"), "commit", "--quiet", "--amend", "--allow-empty", "-m", "two");
    await git("-C", at("work"), "push", "--force", "origin", "main", ":x");
    const mirrored = await refs("recorded.git");
    assert.equal(mirrored, await refs("origin.git"));
    assert.doesNotMatch(mirrored, /refs\/heads\/x/);
  });

  it("mirror more refs than fit one command", async () => {
    const specs = Array.from({ length: 1203 }, (_, n) => `main:refs/heads/b${n}`);
    await git("-C", at("work"), "push", "--quiet", "origin", ...specs);
    const mirrored = await refs("recorded.git");
    assert.equal(mirrored.trim().split("\n").length, 1203);
    assert.equal(mirrored, await refs("origin.git"));
  }).timeout(60_000);

  it("do nothing in a repository without a remote", async () => {
    await git("--git-dir", at("origin.git"), "config", "--unset", "gitd.remote");
    await git("-C", at("work"), "push", "origin", "main");
    assert.equal(await refs("recorded.git"), "");
  });

  it("accept a push without a record and say so, unless a record is required", async () => {
    await git("--git-dir", at("origin.git"), "config", "gitd.remote", at("gone.git"));
    const told = await git("-C", at("work"), "push", "origin", "main");
    assert.match(told, /not recorded at .*gone\.git/);
    await git("--git-dir", at("origin.git"), "config", "gitd.required", "true");
    await assert.rejects(
      git("-C", at("work"), "push", "origin", "main:other"),
      (error: Error & { stderr: string }) =>
        /pre-receive hook declined/.test(error.stderr) && /refused/.test(error.stderr),
    );
    await git("--git-dir", at("origin.git"), "config", "gitd.remote", at("recorded.git"));
    await git("-C", at("work"), "push", "origin", "main:other");
    assert.match(await refs("recorded.git"), /refs\/heads\/other/);
  });
}).timeout(30_000);
