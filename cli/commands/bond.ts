import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { formatCodex, parseCodex } from "../../server/domain/bond.ts";
import { zeroBytes32 } from "../../server/domain/chain-hash.ts";
import { GitdError, isGitdError } from "../../server/domain/errors.ts";
import { type Bytes32, parseAddress, parseBytes32 } from "../../server/domain/ids.ts";
import type { ChainClient } from "../chain-client.ts";
import type { BondStatus } from "../client.ts";
import type { Context } from "../context.ts";
import { parseSeconds } from "../grants.ts";
import { renewLogin } from "./login.ts";

const seenMs = 60_000;
const askAgainMs = 200;

export function addBond(program: Command, context: Context): void {
  const bond = program.command("bond").description("deposits that let you read metered repositories");
  addOpen(bond, context);
  addStatus(bond, context);
  addChanges(bond, context);
}

function addOpen(bond: Command, context: Context): void {
  const { terminal } = context;
  bond
    .command("open")
    .description("deposit CODEX and get a bond; the deposit stays yours")
    .argument("<codex>", "how much to deposit")
    .option("--lock <time>", "lock it, for more quota and weight, such as 90d")
    .option("--pool <id>", "bind it to a pool of assets")
    .addHelpText("after", "\nExample:\n  gitd bond open 5")
    .action(async (codex: string, options: { readonly lock?: string; readonly pool?: string }) => {
      const amount = parseCodex(codex);
      const lockSeconds = options.lock === undefined ? 0n : parseSeconds(options.lock);
      const pool: Bytes32 = options.pool === undefined ? zeroBytes32 : parseBytes32(options.pool);
      using chain = await context.chain();
      const id = await terminal.during("waiting for the chain", () =>
        chain.openBond(amount, lockSeconds, pool),
      );
      await terminal.during("waiting for the server to see it", () => seen(context, id, () => true));
      await renewLogin(context);
      terminal.print(String(id));
      terminal.say(`bond ${id} is open with ${formatCodex(amount)} CODEX`);
    });
}

function addStatus(bond: Command, context: Context): void {
  const { terminal } = context;
  bond
    .command("status")
    .description("your bonds, or one of anybody's, with what this period has used")
    .argument("[id]")
    .option("--json", "for programs")
    .action(async (id: string | undefined, { json }: { json?: boolean }) => {
      const client = context.client();
      const bonds =
        id === undefined ? await client.bondsOf(await context.address()) : [await client.bond(idIn(id))];
      if (json === true) {
        terminal.printJson({ bonds });
        return;
      }
      terminal.printTable(
        ["BOND", "DEPOSIT", "THAWING", "LOCKED UNTIL", "CALLS", "BYTES", "OWED"],
        bonds.map(statusRow),
      );
    });
}

function addChanges(bond: Command, context: Context): void {
  const change = (name: string, description: string, argument: string | undefined) => {
    const command = bond.command(name).description(description).argument("<id>", "the bond");
    return argument === undefined ? command : command.argument(argument);
  };
  change("top-up", "add to a deposit", "<codex>").action(async (id: string, codex: string) => {
    const amount = parseCodex(codex);
    await apply(
      context,
      idIn(id),
      (chain) => chain.topUp(idIn(id), amount),
      `added ${codex} CODEX to bond ${id}`,
    );
  });
  change("extend", "move the end of the lock to this far from now; it never moves back", "<time>").action(
    async (id: string, time: string) => {
      const end = BigInt(Math.floor(Date.now() / 1000)) + parseSeconds(time);
      await apply(
        context,
        idIn(id),
        (chain) => chain.extendLock(idIn(id), end),
        `bond ${id} is locked until ${day(end)}`,
      );
    },
  );
  change("thaw", "ask for part of a deposit back; it can be withdrawn after seven days", "<codex>").action(
    async (id: string, codex: string) => {
      const amount = parseCodex(codex);
      await apply(
        context,
        idIn(id),
        (chain) => chain.requestThaw(idIn(id), amount),
        `${codex} CODEX of bond ${id} are thawing`,
      );
    },
  );
  change("withdraw", "take out what has thawed", undefined)
    .option("--to <address>", "another account than your own")
    .action(async (id: string, { to }: { to?: string }) => {
      const target = to === undefined ? await context.address() : parseAddress(to);
      await apply(
        context,
        idIn(id),
        (chain) => chain.withdraw(idIn(id), target),
        `what had thawed went to ${target}`,
      );
    });
}

/** Runs one change on chain and waits until the server has seen it. */
async function apply(
  context: Context,
  id: bigint,
  act: (chain: ChainClient) => Promise<void>,
  done: string,
): Promise<void> {
  const { terminal } = context;
  const before = await context.client().bond(id);
  using chain = await context.chain();
  await terminal.during("waiting for the chain", () => act(chain));
  await terminal.during("waiting for the server to see it", () =>
    seen(context, id, (now) => isChanged(before, now)),
  );
  terminal.print(done);
}

async function seen(context: Context, id: bigint, fits: (bond: BondStatus) => boolean): Promise<void> {
  const deadline = Date.now() + seenMs;
  while (Date.now() < deadline) {
    try {
      if (fits(await context.client().bond(id))) return;
    } catch (error) {
      if (!isGitdError(error, "not-found")) throw error;
    }
    await delay(askAgainMs);
  }
  throw new GitdError(
    "unavailable",
    `the change is on chain, but the server has not seen it within ${seenMs / 1000} s`,
    {
      fix: "look again later: gitd bond status",
    },
  );
}

function isChanged(before: BondStatus, now: BondStatus): boolean {
  return before.deposit !== now.deposit || before.thawing !== now.thawing || before.lockEnd !== now.lockEnd;
}

function statusRow(bond: BondStatus): string[] {
  return [
    String(bond.id),
    formatCodex(bond.deposit),
    formatCodex(bond.thawing),
    bond.lockEnd * 1000n > BigInt(Date.now()) ? day(bond.lockEnd) : "-",
    `${bond.used.calls} of ${bond.quotaCalls}`,
    `${bond.used.bytes} of ${bond.quotaBytes}`,
    formatCodex(bond.used.unsettled),
  ];
}

function day(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().slice(0, 16).replace("T", " ");
}

function idIn(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new GitdError("invalid", `'${text.slice(0, 40)}' is not a bond's number`, {
    fix: "see them with: gitd bond status",
  });
}
