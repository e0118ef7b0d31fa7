import type { Command } from "commander";
import type { Context } from "../context.ts";

export function addNamespace(program: Command, context: Context): void {
  const { terminal } = context;
  program
    .command("namespace")
    .description("readable names beside your address")
    .command("claim")
    .description("register a name on chain; the first to do so owns it")
    .argument("<name>", "3 to 39 lower-case letters, digits and single hyphens")
    .addHelpText("after", "\nExample:\n  gitd namespace claim acme")
    .action(async (name: string) => {
      using chain = await context.chain();
      await terminal.during("waiting for the chain", () => chain.claimNamespace(name.toLowerCase()));
      terminal.print(
        `${name.toLowerCase()} is yours: git push ${context.client().url}/${name.toLowerCase()}/<name>.git`,
      );
    });
}
