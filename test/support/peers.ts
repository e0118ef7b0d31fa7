import { access, constants, readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Real programs of others that some tests talk to. A machine may lack them: those tests are then skipped by name. */
export type PeerName = "git-lfs" | "kubo" | "nginx" | "postgresql" | "shellcheck";

export interface Peer {
  readonly name: PeerName;
  /** Absolute path of the program. */
  readonly path: string;
}

interface PeerPlan {
  readonly program: string;
  /** Where the program is when it is not on the PATH. */
  readonly folders: () => Promise<string[]>;
  readonly install: string;
}

const plans: Record<PeerName, PeerPlan> = {
  "git-lfs": { program: "git-lfs", folders: async () => [], install: "apt-get install git-lfs" },
  nginx: { program: "nginx", folders: async () => ["/usr/sbin"], install: "apt-get install nginx-light" },
  postgresql: {
    program: "postgres",
    folders: debianPostgresFolders,
    install: "apt-get install postgresql",
  },
  shellcheck: { program: "shellcheck", folders: async () => [], install: "apt-get install shellcheck" },
  kubo: {
    program: "ipfs",
    folders: async () => [join(homedir(), ".cache", "gitd-ci")],
    install: "run .ci/run once, or set GITD_TEST_KUBO to an ipfs binary",
  },
};

/** The program if this machine has it: GITD_TEST_KUBO first for kubo, then the PATH, then the usual folders. */
export async function findPeer(name: PeerName): Promise<Peer | undefined> {
  const plan = plans[name];
  const given = name === "kubo" ? process.env["GITD_TEST_KUBO"] : undefined;
  const candidates = given === undefined || given === "" ? await candidatePaths(plan) : [given];
  for (const path of candidates) {
    if (await isExecutable(path)) return { name, path };
  }
  return undefined;
}

/** The program, or the running test is skipped with the peer's name in its title, which the summary then shows. */
export async function needPeer(context: Mocha.Context, name: PeerName): Promise<Peer> {
  const peer = await findPeer(name);
  if (peer !== undefined) return peer;
  return skipSaying(context, `needs ${name}: ${plans[name].install}`);
}

/** Skips the running test and says why in its title. */
export function skipSaying(context: Mocha.Context, why: string): never {
  const runnable = context.test;
  // NOTE: a hook that skips, skips every test of its suite, so the suite's title carries the reason.
  const titled =
    runnable !== undefined && "type" in runnable && runnable.type === "hook" ? runnable.parent : runnable;
  if (titled !== undefined) titled.title = `${titled.title} [${why}]`;
  return context.skip();
}

async function candidatePaths(plan: PeerPlan): Promise<string[]> {
  const onPath = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = [...onPath, ...(await plan.folders())];
  const paths = folders.map((folder) => join(folder, plan.program));
  return plan.program === "ipfs" ? [...paths, ...(await builtKubos())] : paths;
}

async function builtKubos(): Promise<string[]> {
  const folder = join(homedir(), ".cache", "gitd-ci");
  const names = await namesIn(folder);
  return names.filter((name) => /^ipfs-\d+\.\d+\.\d+$/.test(name)).map((name) => join(folder, name));
}

async function debianPostgresFolders(): Promise<string[]> {
  const root = "/usr/lib/postgresql";
  return (await namesIn(root)).map((version) => join(root, version, "bin")).reverse();
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}
