import assert from "node:assert/strict";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type RunOptions, type RunResult, run } from "./processes.ts";

export interface GitOptions extends RunOptions {
  /** Expected to fail: the result is returned whatever the exit code. */
  readonly mayFail?: boolean;
}

/**
 * The real git of this machine as a stranger's machine would run it: a home folder of its own, no system
 * configuration, fixed names and dates, never a prompt.
 */
export class GitHome implements AsyncDisposable {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  static async open(): Promise<GitHome> {
    return new GitHome(await mkdtemp(join(tmpdir(), "gitd-home-")));
  }

  get environment(): Record<string, string> {
    return {
      PATH: process.env["PATH"] ?? "",
      HOME: this.path,
      LC_ALL: "C",
      TZ: "UTC",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_AUTHOR_NAME: "Ada Author",
      GIT_AUTHOR_EMAIL: "ada@example.org",
      GIT_AUTHOR_DATE: "2024-03-01T12:00:00Z",
      GIT_COMMITTER_NAME: "Cleo Committer",
      GIT_COMMITTER_EMAIL: "cleo@example.org",
      GIT_COMMITTER_DATE: "2024-03-01T12:00:00Z",
    };
  }

  /** A path inside the home folder. */
  at(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** Runs git and throws with what it said unless it succeeds. */
  async git(args: readonly string[], options: GitOptions = {}): Promise<RunResult> {
    const result = await run("git", args, {
      ...options,
      cwd: options.cwd ?? this.path,
      env: { ...this.environment, ...options.env },
    });
    if (result.code !== 0 && options.mayFail !== true) {
      throw new Error(`git ${args.join(" ")} ended with ${result.code}:\n${result.stdout}${result.stderr}`);
    }
    return result;
  }

  /** The first line that git prints. */
  async line(args: readonly string[], options: GitOptions = {}): Promise<string> {
    return (await this.git(args, options)).stdout.split("\n")[0] ?? "";
  }

  /** A new repository with a work tree, on branch `main`. */
  async init(name: string, ...extra: string[]): Promise<string> {
    const path = this.at(name);
    await this.git(["init", "--quiet", "--initial-branch=main", ...extra, path]);
    return path;
  }

  /** Writes the files, commits them and returns the commit's oid. */
  async commit(
    repository: string,
    message: string,
    files: Readonly<Record<string, string | Uint8Array>>,
  ): Promise<string> {
    for (const [name, content] of Object.entries(files)) {
      const path = join(repository, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
    await this.git(["add", "--all"], { cwd: repository });
    await this.git(["commit", "--quiet", "--message", message], { cwd: repository });
    return this.line(["rev-parse", "HEAD"], { cwd: repository });
  }

  /** Every object that the repository's refs reach, as `oid type size`, in oid order. */
  async objects(repository: string): Promise<string[]> {
    const listed = await this.git(["rev-list", "--objects", "--all", "--no-object-names"], {
      cwd: repository,
    });
    const checked = await this.git(["cat-file", "--batch-check"], { cwd: repository, input: listed.stdout });
    return checked.stdout.trimEnd().split("\n").sort();
  }

  /** Every branch and tag as `name oid`, in name order. */
  async refs(repository: string): Promise<string[]> {
    const { stdout } = await this.git(
      ["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"],
      { cwd: repository },
    );
    return stdout.trimEnd().split("\n").sort();
  }

  /** Fails unless both repositories hold the same branches, tags and objects, and the copy is sound. */
  async assertSame(original: string, copy: string): Promise<void> {
    assert.deepEqual(await this.refs(copy), await this.refs(original));
    assert.deepEqual(await this.objects(copy), await this.objects(original));
    await this.git(["fsck", "--full", "--strict", "--no-dangling"], { cwd: copy, timeoutMs: 120_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 });
  }
}
