import type { Command } from "commander";
import type { Context } from "../context.ts";

export function addConfig(program: Command, context: Context): void {
  const { terminal } = context;
  program
    .command("config")
    .description("what the server would run with in this environment, passwords left out")
    .option("--json", "for programs")
    .action(({ json }: { json?: boolean }) => {
      const variables = context.serverVariables();
      if (json === true) terminal.printJson({ variables });
      else {
        terminal.printTable(
          ["VARIABLE", "VALUE", "MEANING"],
          variables.map(({ name, value, isDefault, meaning }) => [
            name,
            `${value}${isDefault ? "" : " *"}`,
            meaning,
          ]),
        );
        terminal.say("* set in the environment");
      }
    });
}
