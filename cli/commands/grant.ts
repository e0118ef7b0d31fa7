import type { Command } from "commander";
import { z } from "zod";
import { parseCodex } from "../../server/domain/bond.ts";
import { GitdError } from "../../server/domain/errors.ts";
import type { Context } from "../context.ts";
import { bestBond, mintGrant, parseSeconds } from "../grants.ts";

interface CreateOptions {
  readonly cap: string;
  readonly expires: string;
  readonly scope: string;
  readonly bond?: string;
}

const inputBytesMax = 16 * 1024;

export function addGrant(program: Command, context: Context): void {
  const { terminal } = context;
  const grant = program.command("grant").description("signed, capped, expiring permissions");
  grant
    .command("create")
    .description("print a Grant, for a password field or a CI secret")
    .option("--cap <codex>", "the most it may be charged in all", "1")
    .option("--expires <time>", "how long it is good", "30d")
    .option(
      "--scope <scope>",
      "'<namespace>/<name>:read', ':write' or ':admin', comma-separated; '*' for all",
      "*",
    )
    .option("--bond <id>", "the bond that pays; your largest unless given, 0 for none")
    .addHelpText("after", "\nExample:\n  gitd grant create --cap 2 --expires 30d --scope 'acme/tool:read'")
    .action(async (options: CreateOptions) => {
      const client = context.client();
      const wallet = await context.wallet();
      const bond = await chosenBond(context, options.bond);
      const terms = {
        scope: options.scope,
        cap: parseCodex(options.cap),
        seconds: parseSeconds(options.expires),
        bond,
      };
      terminal.print(await mintGrant(wallet, client, terms));
    });
  grant
    .command("revoke")
    .description("void a Grant, or with --all every Grant under a bond")
    .argument("[grant]", "the Grant; '-' or nothing reads it from standard input")
    .option("--all <bond>", "void all Grants under this bond, on chain")
    .action(async (text: string | undefined, options: { readonly all?: string }) => {
      if (options.all !== undefined) {
        using chain = await context.chain();
        await terminal.during("waiting for the chain", () => chain.bumpEpoch(BigInt(options.all ?? "")));
        terminal.print(`every Grant under bond ${options.all} is void`);
        return;
      }
      const encoded =
        text === undefined || text === "-" ? (await terminal.readInput(inputBytesMax)).trim() : text;
      const own = await context.ownGrant("*");
      await context
        .client()
        .ask(z.undefined(), "POST", "/grants/revoke", { grant: own, body: { grant: encoded } });
      terminal.print("the Grant is void");
    });
}

async function chosenBond(context: Context, id: string | undefined) {
  const client = context.client();
  if (id === undefined) return bestBond(client, await context.address());
  if (!/^\d{1,18}$/.test(id))
    throw new GitdError("invalid", `'${id}' is not a bond's number`, { fix: "see: gitd bond status" });
  return id === "0" ? undefined : client.bond(BigInt(id));
}
