import type { Command } from "commander";
import { z } from "zod";
import { formatRepoPath, parseRepoPath } from "../../server/domain/ids.ts";
import { pushSchema } from "../client.ts";
import type { Context } from "../context.ts";

type LoggedPush = z.infer<typeof pushSchema>;

const shortOid = 10;
/** The rest is in `--json`. */
const updatesShownMax = 10;

export function addLog(program: Command, context: Context): void {
  const { terminal } = context;
  program
    .command("log")
    .description("every push: who, what, manifest, and whether it is on chain")
    .argument("<repo>", "<namespace>/<name>")
    .option("--limit <count>", "how many, newest first", "20")
    .option("--json", "for programs")
    .addHelpText("after", "\nExample:\n  gitd log acme/tool --limit 5")
    .action(async (name: string, options: { readonly limit: string; readonly json?: boolean }) => {
      const path = formatRepoPath(parseRepoPath(name));
      const schema = z.object({ pushes: z.array(pushSchema) });
      const signedIn = context.hasPassphrase && (await context.wallets().defaultAddress()) !== undefined;
      const grant = signedIn ? { grant: await context.ownGrant(`${path}:read`) } : {};
      const query = new URLSearchParams({ limit: options.limit });
      const { pushes } = await context
        .client()
        .ask(schema, "GET", `/repositories/${path}/pushes?${query.toString()}`, grant);
      if (options.json === true) terminal.printJson({ pushes });
      else for (const push of pushes) for (const line of lines(push)) terminal.print(line);
    });
}

function lines(push: LoggedPush): string[] {
  const place = push.block === null ? "" : ` in block ${push.block}, transaction ${push.transaction}`;
  return [
    `push ${push.seq} by ${push.pusher} at ${new Date(Number(push.time) * 1000).toISOString()}`,
    `  ${push.state}${place}`,
    `  manifest ${push.manifest}`,
    ...push.updates
      .slice(0, updatesShownMax)
      .map(({ ref, old, new: oid }) => `  ${ref} ${old.slice(0, shortOid)}..${oid.slice(0, shortOid)}`),
    ...(push.updates.length > updatesShownMax
      ? [`  and ${push.updates.length - updatesShownMax} more refs`]
      : []),
    ...push.contributions.map(
      ({ author, name, commits, escrow }) =>
        `  ${name}: ${commits} commits, ${author}${escrow ? " (held until claimed)" : ""}`,
    ),
  ];
}
