import { type Command, Option } from "commander";
import { z } from "zod";
import { formatCodex, parseCodex } from "../../server/domain/bond.ts";
import { formatRepoPath, parseAddress, parseRepoPath } from "../../server/domain/ids.ts";
import { type RepositoryStatus, repositorySchema } from "../client.ts";
import type { Context } from "../context.ts";

interface CreateOptions {
  readonly objectFormat: string;
  readonly defaultBranch?: string;
  readonly policy?: string;
}

const policies = ["open", "bonded", "private"];

export function addRepo(program: Command, context: Context): void {
  const repo = program
    .command("repo")
    .description("repositories: create, look at, and set who may read at what price");
  addCreate(repo, context);
  addLooks(repo, context);
  addSettings(repo, context);
  addWriters(repo, context);
}

function addCreate(repo: Command, context: Context): void {
  repo
    .command("create")
    .description("create a repository; a first push does so too")
    .argument("<repo>", "<namespace>/<name>")
    .addOption(
      new Option("--object-format <format>", "how Git names objects")
        .choices(["sha1", "sha256"])
        .default("sha1"),
    )
    .option("--default-branch <name>", "the branch that HEAD stands for")
    .addOption(new Option("--policy <policy>", "who may read").choices(policies))
    .addHelpText("after", "\nExample:\n  gitd repo create acme/tool --object-format sha256 --policy open")
    .action(async (name: string, { objectFormat, defaultBranch, policy }: CreateOptions) => {
      const path = pathIn(name);
      const grant = await context.ownGrant(`${path}:admin`);
      const body = { path, objectFormat, defaultBranch, policy };
      const made = await context.client().ask(repositorySchema, "POST", "/repositories", { grant, body });
      context.terminal.print(`${context.client().url}/${made.path}.git`);
    });
}

function addLooks(repo: Command, context: Context): void {
  const { terminal } = context;
  repo
    .command("list")
    .description("repositories that are yours or that you may push to")
    .option("--json", "for programs")
    .action(async ({ json }: { json?: boolean }) => {
      const schema = z.object({ repositories: z.array(repositorySchema) });
      const grant = await context.ownGrant("*");
      const { repositories } = await context.client().ask(schema, "GET", "/repositories", { grant });
      if (json === true) terminal.printJson({ repositories });
      else
        terminal.printTable(
          ["REPOSITORY", "POLICY", "PUSHES"],
          repositories.map((one) => [one.path, one.policy, String(one.seq)]),
        );
    });
  repo
    .command("show")
    .description("one repository")
    .argument("<repo>", "<namespace>/<name>")
    .option("--json", "for programs")
    .action(async (name: string, { json }: { json?: boolean }) => {
      const path = pathIn(name);
      const grant = await grantIfPossible(context, `${path}:read`);
      const found = await context.client().ask(repositorySchema, "GET", `/repositories/${path}`, grant);
      if (json === true) terminal.printJson(found);
      else for (const [title, value] of facts(found)) terminal.print(`${title.padEnd(14)} ${value}`);
    });
}

function addSettings(repo: Command, context: Context): void {
  const change = async (name: string, body: unknown): Promise<RepositoryStatus> => {
    const path = pathIn(name);
    const grant = await context.ownGrant(`${path}:admin`);
    return context.client().ask(repositorySchema, "PATCH", `/repositories/${path}`, { grant, body });
  };
  repo
    .command("policy")
    .description("who may read: everyone (open), who has a bond (bonded), you and your writers (private)")
    .argument("<repo>", "<namespace>/<name>")
    .argument("<policy>", policies.join(", "))
    .action(async (name: string, policy: string) => {
      const changed = await change(name, { policy });
      context.terminal.print(`${changed.path} is ${changed.policy}`);
    });
  repo
    .command("price")
    .description("what a read by others costs")
    .argument("<repo>", "<namespace>/<name>")
    .requiredOption("--per-call <codex>", "for each read")
    .requiredOption("--per-gib <codex>", "for each GiB sent")
    .addHelpText("after", "\nExample:\n  gitd repo price acme/tool --per-call 0.001 --per-gib 0.05")
    .action(async (name: string, options: { readonly perCall: string; readonly perGib: string }) => {
      const price = {
        perCall: String(parseCodex(options.perCall)),
        perGib: String(parseCodex(options.perGib)),
      };
      const changed = await change(name, { price });
      context.terminal.print(`${changed.path} costs ${priceOf(changed)}`);
    });
}

function addWriters(repo: Command, context: Context): void {
  repo
    .command("writers")
    .description("accounts that may push beside the owner")
    .argument("<repo>", "<namespace>/<name>")
    .option("--add <address>", "let an account push")
    .option("--remove <address>", "no longer let it push")
    .option("--json", "for programs")
    .action(
      async (
        name: string,
        options: { readonly add?: string; readonly remove?: string; readonly json?: boolean },
      ) => {
        const path = pathIn(name);
        const client = context.client();
        const grant = await context.ownGrant(`${path}:admin`);
        for (const [method, address] of [
          ["PUT", options.add],
          ["DELETE", options.remove],
        ] as const) {
          if (address === undefined) continue;
          await client.ask(z.undefined(), method, `/repositories/${path}/writers/${parseAddress(address)}`, {
            grant,
          });
        }
        const schema = z.object({ writers: z.array(z.string()) });
        const { writers } = await client.ask(schema, "GET", `/repositories/${path}/writers`, { grant });
        if (options.json === true) context.terminal.printJson({ writers });
        else for (const writer of writers) context.terminal.print(writer);
      },
    );
}

/** Signs in where that needs no question, so that one's own private repositories are found. */
async function grantIfPossible(context: Context, scope: string): Promise<{ readonly grant?: string }> {
  const hasWallet = (await context.wallets().defaultAddress()) !== undefined;
  return hasWallet && context.hasPassphrase ? { grant: await context.ownGrant(scope) } : {};
}

function facts(repository: RepositoryStatus): [string, string][] {
  return [
    ["repository", repository.path],
    ["owner", repository.owner],
    ["policy", repository.policy],
    ["price", priceOf(repository)],
    ["object format", repository.objectFormat],
    ["HEAD", repository.head],
    ["pushes", String(repository.seq)],
    ["manifest", repository.manifest ?? "none yet"],
    ["id on chain", repository.id],
  ];
}

function priceOf({ price }: RepositoryStatus): string {
  return `${formatCodex(price.perCall)} CODEX a read and ${formatCodex(price.perGib)} CODEX a GiB`;
}

function pathIn(name: string): string {
  return formatRepoPath(parseRepoPath(name));
}
