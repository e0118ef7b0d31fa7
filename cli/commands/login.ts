import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Command } from "commander";
import type { Wallet } from "ethers";
import { parseCodex } from "../../server/domain/bond.ts";
import type { Context } from "../context.ts";
import { bestBond, mintGrant, parseSeconds } from "../grants.ts";

const run = promisify(execFile);
const gitMs = 10_000;
const requestBytesMax = 64 * 1024;
/** A Grant this close to its end is made anew where that is possible. */
const renewSeconds = 3_600;

interface LoginOptions {
  readonly cap: string;
  readonly expires: string;
}

export function addLogin(program: Command, context: Context): void {
  const { terminal } = context;
  program
    .command("login")
    .description("let git sign in to the server by itself")
    .option("--cap <codex>", "the most that reading may cost in all", "10")
    .option("--expires <time>", "how long git may do so", "30d")
    .addHelpText("after", "\nExample:\n  gitd login --cap 5 --expires 7d")
    .action(async (options: LoginOptions) => {
      const origin = new URL(context.client().url).origin;
      const account = await signIn(context, await context.wallet(), options);
      const helper = fileURLToPath(new URL("../gitd", import.meta.url));
      await git(context, [
        "config",
        "--global",
        `credential.${origin}.helper`,
        `!'${helper.replaceAll("'", "'\\''")}' credential`,
      ]);
      await git(context, ["config", "--global", `credential.${origin}.username`, account]);
      terminal.print(`git signs in to ${origin} as ${account}`);
    });
  program
    .command("logout")
    .description("forget what login keeps")
    .action(async () => {
      const origin = new URL(context.client().url).origin;
      const had = await context.logins().remove(origin);
      await git(context, ["config", "--global", "--remove-section", `credential.${origin}`]).catch(
        () => undefined,
      );
      terminal.print(had ? `signed out of ${origin}` : `you were not signed in to ${origin}`);
    });
  program
    .command("credential", { hidden: true })
    .description("git's credential helper protocol (git-credential(1))")
    .argument("<action>", "get, store or erase")
    .action(async (action: string) => {
      const request = new Map(
        (await terminal.readInput(requestBytesMax)).split("\n").map((line): [string, string] => {
          const at = line.indexOf("=");
          return [line.slice(0, Math.max(at, 0)), line.slice(at + 1)];
        }),
      );
      if (action !== "get") return;
      const answer = await answerGit(context, `${request.get("protocol")}://${request.get("host")}`);
      if (answer !== undefined) terminal.print(`username=${answer.account}\npassword=${answer.grant}`);
    });
}

/** Makes and keeps the Grant that the helper answers with, on the account's best Bond if it has one. */
export async function signIn(context: Context, wallet: Wallet, options: LoginOptions): Promise<string> {
  const client = context.client();
  const account = wallet.address.toLowerCase();
  const seconds = parseSeconds(options.expires);
  const bond = await bestBond(client, await context.address());
  const grant = await mintGrant(wallet, client, { scope: "*", cap: parseCodex(options.cap), seconds, bond });
  const deadline = Math.floor(Date.now() / 1000) + Number(seconds);
  await context.logins().put(new URL(client.url).origin, { account, grant, deadline, cap: options.cap });
  return account;
}

/** After a change of Bonds: the kept Grant is replaced by one on the Bond that is best now. */
export async function renewLogin(context: Context): Promise<void> {
  const login = await context.logins().get(new URL(context.client().url).origin);
  const secondsLeft = (login?.deadline ?? 0) - Math.floor(Date.now() / 1000);
  if (login === undefined || secondsLeft <= 0) return;
  await signIn(context, await context.wallet(), { cap: login.cap, expires: `${secondsLeft}s` });
}

async function answerGit(
  context: Context,
  origin: string,
): Promise<{ readonly account: string; readonly grant: string } | undefined> {
  const login = await context.logins().get(origin);
  if (login === undefined) return undefined;
  if (login.deadline - renewSeconds > Date.now() / 1000 || !context.hasPassphrase) return login;
  const client = context.client(origin);
  const bond = await bestBond(client, await context.address());
  const terms = { scope: "*", cap: parseCodex(login.cap), seconds: BigInt(renewSeconds), bond };
  return { account: login.account, grant: await mintGrant(await context.wallet(), client, terms) };
}

async function git(context: Context, args: readonly string[]): Promise<void> {
  await run("git", args, { env: { ...context.environment }, timeout: gitMs });
}
