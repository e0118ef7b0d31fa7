import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Player } from "./player.ts";
import { flush, pkt } from "./raw-http.ts";
import { type World, startWorld } from "./world.ts";

export const versions = ["0", "1", "2"] as const;
export const delimiter = Buffer.from("0001");

/** A server with one repository: six commits a month apart on `main`, a branch, an annotated and a plain tag. */
export class GitScene implements AsyncDisposable {
  readonly world: World;
  readonly player: Player;
  readonly work: string;
  /** Oids of main's commits, oldest first. */
  readonly commits: string[] = [];

  private constructor(world: World, player: Player, work: string) {
    this.world = world;
    this.player = player;
    this.work = work;
  }

  static async open(): Promise<GitScene> {
    const world = await startWorld();
    const player = await Player.at(world);
    const scene = new GitScene(world, player, await player.home.init("work"));
    for (let at = 0; at < 6; at += 1) {
      await scene.commitAt(`2024-0${at + 1}-01T00:00:00Z`, `commit ${at}`, {
        [`file-${at}.txt`]: `${at}\n`.repeat(200),
        "folder/binary.bin": randomBytes(2000),
      });
    }
    await player.git(["tag", "-a", "v1", "-m", "one", scene.oid(2)], { cwd: scene.work });
    await player.git(["tag", "light", scene.oid(3)], { cwd: scene.work });
    await player.git(["branch", "topic", scene.oid(4)], { cwd: scene.work });
    await scene.push("repo", "--quiet", "main", "topic", "v1", "light");
    return scene;
  }

  /** A commit of main by its place, the oldest first; negative from the end. */
  oid(at: number): string {
    const oid = this.commits.at(at);
    if (oid === undefined) throw new RangeError(`there is no commit ${at}`);
    return oid;
  }

  async commitAt(date: string, message: string, files: Record<string, string | Uint8Array>): Promise<string> {
    const { home } = this.player;
    for (const [name, content] of Object.entries(files)) {
      const path = home.at("work", name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
    }
    await home.git(["add", "--all"], { cwd: this.work });
    const env = { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
    await home.git(["commit", "--quiet", "--message", message], { cwd: this.work, env });
    const oid = await home.line(["rev-parse", "HEAD"], { cwd: this.work });
    this.commits.push(oid);
    return oid;
  }

  /** Pushes from the work tree to a repository of the player's; options may stand among the refspecs. Returns stderr. */
  async push(name: string, ...words: string[]): Promise<string> {
    const { options, refspecs } = split(words);
    const args = ["push", ...options, this.player.remote(name), ...refspecs];
    return (await this.player.git(args, { cwd: this.work })).stderr;
  }

  /** A push that has to fail; returns stderr. */
  async refusedPush(name: string, ...words: string[]): Promise<string> {
    const { options, refspecs } = split(words);
    const args = ["push", ...options, this.player.remote(name), ...refspecs];
    const { code, stderr } = await this.player.git(args, { cwd: this.work, mayFail: true });
    if (code === 0) throw new Error(`git ${args.join(" ")} was expected to fail`);
    return stderr;
  }

  async clone(into: string, ...options: string[]): Promise<string> {
    const path = this.player.home.at(into);
    await this.player.git(["clone", "--quiet", ...options, this.player.remote("repo"), path]);
    return path;
  }

  async count(repository: string, revision: string): Promise<number> {
    return Number(await this.player.home.line(["rev-list", "--count", revision], { cwd: repository }));
  }

  /** One protocol version 2 command, as its lines; buffers go as they are. */
  async command(...parts: readonly (Buffer | string)[]): Promise<Awaited<ReturnType<Player["request"]>>> {
    return this.player.request({
      method: "POST",
      path: `/${this.player.path("repo")}.git/git-upload-pack`,
      headers: { "content-type": "application/x-git-upload-pack-request", "git-protocol": "version=2" },
      body: Buffer.concat([...parts.map((part) => (typeof part === "string" ? pkt(part) : part)), flush]),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.player[Symbol.asyncDispose]();
    await this.world.stop();
  }
}

function split(words: readonly string[]): { options: string[]; refspecs: string[] } {
  const options = words.filter((word) => word.startsWith("-"));
  return { options, refspecs: words.filter((word) => !word.startsWith("-")) };
}
