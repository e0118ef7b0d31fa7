import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { GitHome, type GitOptions } from "./git.ts";
import { type RunResult, run } from "./processes.ts";

const gitd = fileURLToPath(new URL("../../cli/gitd", import.meta.url));
const commandMs = 120_000;

/** Somebody at a terminal: a home folder of their own, stock git, and `gitd` as it is installed. */
export class Person implements AsyncDisposable {
  readonly home: GitHome;
  readonly #url: string;

  private constructor(home: GitHome, url: string) {
    this.home = home;
    this.#url = url;
  }

  static async at(url: string): Promise<Person> {
    return new Person(await GitHome.open(), url);
  }

  get environment(): Record<string, string> {
    return {
      ...this.home.environment,
      GITD_URL: this.#url,
      GITD_HOME: join(this.home.path, ".gitd"),
      GITD_PASSPHRASE: "a passphrase for tests",
    };
  }

  /** Runs `gitd` whatever comes of it. */
  async try(
    args: readonly string[],
    options: { env?: Record<string, string>; input?: string } = {},
  ): Promise<RunResult> {
    const { env, input } = options;
    return run(gitd, args, {
      cwd: this.home.path,
      env: { ...this.environment, ...env },
      timeoutMs: commandMs,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** Runs `gitd`, which has to work; its stdout without the last newline. */
  async gitd(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(args);
    if (code !== 0) throw new Error(`gitd ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
    return stdout.trimEnd();
  }

  async json<T>(schema: z.ZodType<T>, ...args: string[]): Promise<T> {
    return schema.parse(JSON.parse(await this.gitd(...args, "--json")));
  }

  async git(args: readonly string[], options: GitOptions = {}): Promise<RunResult> {
    return this.home.git(args, { ...options, env: { ...this.environment, ...options.env } });
  }

  async address(): Promise<string> {
    const schema = z.object({ wallets: z.array(z.object({ address: z.string() })) });
    return (await this.json(schema, "wallet", "list")).wallets[0]?.address ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.home[Symbol.asyncDispose]();
  }
}
