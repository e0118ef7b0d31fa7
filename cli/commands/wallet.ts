import type { Command } from "commander";
import { z } from "zod";
import type { Context } from "../context.ts";

const keyBytesMax = 200;

export function addWallet(program: Command, context: Context): void {
  const { terminal } = context;
  const wallet = program.command("wallet").description("keys, kept encrypted");
  wallet
    .command("new")
    .description("make a wallet; the first one is the default")
    .addHelpText("after", "\nExample:\n  gitd wallet new")
    .action(async () => {
      const passphrase = await context.passphrase("Choose a passphrase for the new wallet");
      terminal.print(await terminal.during("encrypting the key", () => context.wallets().add(passphrase)));
    });
  wallet
    .command("import")
    .description("take in a private key from standard input")
    .addHelpText("after", "\nExample:\n  gitd wallet import < key.txt")
    .action(async () => {
      const key = await terminal.readInput(keyBytesMax);
      const passphrase = await context.passphrase("Choose a passphrase for the wallet");
      terminal.print(
        await terminal.during("encrypting the key", () => context.wallets().add(passphrase, key)),
      );
    });
  wallet
    .command("list")
    .description("addresses; a star marks the default")
    .option("--json", "for programs")
    .action(async ({ json }: { json?: boolean }) => {
      const chosen = await context.wallets().defaultAddress();
      const wallets = (await context.wallets().list()).map((address) => ({
        address,
        default: address === chosen,
      }));
      if (json === true) terminal.printJson({ wallets });
      else for (const one of wallets) terminal.print(`${one.default ? "*" : " "} ${one.address}`);
    });
  program
    .command("faucet")
    .description("get test ether and 1000 test CODEX (embedded chain only)")
    .action(async () => {
      const address = await context.address();
      const answer = await terminal.during("asking the faucet", () =>
        context.client().ask(z.object({ codex: z.string() }), "POST", "/faucet", { body: { address } }),
      );
      terminal.print(`${address} has ${answer.codex} test CODEX`);
    });
}
