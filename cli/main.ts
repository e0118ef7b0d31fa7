import { Command, CommanderError } from "commander";
import { explain, isGitdError } from "../server/domain/errors.ts";
import { addBond } from "./commands/bond.ts";
import { addConfig } from "./commands/config.ts";
import { addGrant } from "./commands/grant.ts";
import { addLog } from "./commands/log.ts";
import { addLogin } from "./commands/login.ts";
import { addNamespace } from "./commands/namespace.ts";
import { addRepo } from "./commands/repo.ts";
import { addRestore } from "./commands/restore.ts";
import { addWallet } from "./commands/wallet.ts";
import { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";

const epilogue = `
Environment:
  GITD_URL          the server (http://127.0.0.1:8417)
  GITD_HOME         wallets and logins (~/.config/gitd)
  GITD_PASSPHRASE   opens the wallet where nobody can be asked
  GITD_CHAIN_RPC    the chain's endpoint, where the server does not name one

Exit codes:
  0 done   1 refused or failed   2 command line not understood   3 server, chain or peers do not answer`;

async function main(): Promise<number> {
  const context = Context.ofProcess();
  const program = new Command("gitd")
    .description("Wallets, Access Bonds, Grants and repositories of a Gitd server")
    .addHelpText("after", epilogue)
    .showHelpAfterError("(see the command's --help)")
    .exitOverride();
  for (const add of [
    addWallet,
    addLogin,
    addGrant,
    addBond,
    addRepo,
    addNamespace,
    addLog,
    addRestore,
    addConfig,
  ]) {
    add(program, context);
  }
  try {
    await program.parseAsync();
    return exitCodes.ok;
  } catch (error) {
    return report(error, context);
  }
}

function report(error: unknown, context: Context): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (!isGitdError(error)) {
    context.terminal.say(
      `gitd: this should not happen: ${error instanceof Error ? error.stack : String(error)}`,
    );
    return exitCodes.failed;
  }
  context.terminal.say(`gitd: ${explain(error)}`);
  return error.code === "unavailable" || error.code === "chain-unavailable"
    ? exitCodes.unreachable
    : exitCodes.failed;
}

process.exitCode = await main();
