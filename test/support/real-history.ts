import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { GitHome } from "./git.ts";
import { inheritedEnvironment, run } from "./processes.ts";
import { type TarFile, readTarball } from "./tarball.ts";

/**
 * A repository made of real published content: every version of an npm package as one commit, with the date of its
 * own files, its `author` as author, its `contributors` as co-authors and a tag; one branch for each major version.
 *
 * connect is the package because its versions were published while npm still kept the dates of files (later ones
 * all carry 26 October 1985; those versions are left out), by several people, with images and nested fixtures.
 */
export interface RealHistory {
  /** A bare repository, shared by all tests: never write to it. */
  readonly path: string;
  readonly commits: number;
  /** Paths that any commit holds. */
  readonly files: number;
  /** `refs/heads/main`. */
  readonly tip: string;
}

interface Version {
  readonly version: string;
  readonly major: number;
  readonly files: readonly TarFile[];
  readonly seconds: number;
  readonly author: string;
  readonly coAuthors: readonly string[];
}

const packageName = "connect";
/** Part of the cache's name, so that a change to how the repository is built makes a new one. */
const recipe = 1;
const normalizedSeconds = Date.UTC(1985, 9, 26, 8, 15) / 1000;
const packMs = 300_000;
const downloads = 4;
const historyFacts = z.object({ commits: z.number(), files: z.number(), tip: z.string() });
const describedPackage = z.object({
  author: z.unknown().optional(),
  contributors: z.array(z.unknown()).optional(),
});
const unknownAuthor = "connect <connect@example.org>";

/** The repository, from the cache or built now (which needs the package registry once). */
export async function realHistory(): Promise<RealHistory> {
  const folder = join(cacheFolder(), `${packageName}-${recipe}`);
  if (!existsSync(join(folder, "history.json"))) await build(folder);
  const facts = historyFacts.parse(JSON.parse(await readFile(join(folder, "history.json"), "utf8")));
  return { ...facts, path: join(folder, "repository.git") };
}

/** Where things that are slow to fetch stay between runs: the system's place for caches, outside the checkout. */
export function cacheFolder(): string {
  const given = process.env["XDG_CACHE_HOME"];
  const root = given !== undefined && given !== "" ? given : join(homedir(), ".cache");
  return join(root, "gitd-test");
}

async function build(folder: string): Promise<void> {
  await mkdir(join(folder, ".."), { recursive: true });
  const building = await mkdtemp(`${folder}-building-`);
  try {
    const versions = await publishedVersions(building);
    const repository = join(building, "repository.git");
    const facts = await importVersions(repository, versions);
    await writeFile(join(building, "history.json"), JSON.stringify(facts));
    await rm(join(building, "tarballs"), { recursive: true });
    await moveInto(building, folder);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

/** Two runs may build at once; the first one to finish wins. */
async function moveInto(building: string, folder: string): Promise<void> {
  try {
    await rename(building, folder);
  } catch (error) {
    if (!existsSync(join(folder, "history.json"))) throw error;
  }
}

async function publishedVersions(building: string): Promise<Version[]> {
  const listed = await npm(["view", packageName, "versions", "--json"]);
  const names = z
    .array(z.string())
    .parse(JSON.parse(listed))
    .filter((name) => /^\d+\.\d+\.\d+$/.test(name));
  const tarballs = join(building, "tarballs");
  await mkdir(tarballs);
  const shares = Array.from({ length: downloads }, (_, share) =>
    names.filter((_name, at) => at % downloads === share).map((name) => `${packageName}@${name}`),
  );
  // npm takes the registry, proxy and certificates from the machine's own configuration and checks each integrity.
  await Promise.all(
    shares.map((share) => npm(["pack", ...share, "--silent", "--pack-destination", tarballs])),
  );
  const versions: Version[] = [];
  for (const name of names) {
    const version = toVersion(
      name,
      readTarball(await readFile(join(tarballs, `${packageName}-${name}.tgz`))),
    );
    if (version.seconds > normalizedSeconds) versions.push(version);
  }
  return versions.sort(
    (a, b) => a.major - b.major || a.seconds - b.seconds || (a.version < b.version ? -1 : 1),
  );
}

async function npm(args: readonly string[]): Promise<string> {
  const env = Object.fromEntries(
    Object.entries(inheritedEnvironment()).filter(
      ([name]) => !/^npm_(config_json|lifecycle|package)/.test(name),
    ),
  );
  const result = await run("npm", args, { cwd: tmpdir(), timeoutMs: packMs, env });
  if (result.code !== 0)
    throw new Error(`npm ${args.slice(0, 2).join(" ")} ended with ${result.code}:\n${result.stderr}`);
  return result.stdout;
}

function toVersion(version: string, files: readonly TarFile[]): Version {
  const own = files.find(({ path }) => path === "package.json");
  const described = parsePackage(own?.content.toString() ?? "{}");
  const people = [described.author, ...(described.contributors ?? [])]
    .map(person)
    .filter((name) => name !== undefined);
  const [author = unknownAuthor, ...coAuthors] = people;
  return {
    version,
    major: Number(version.split(".")[0]),
    files,
    seconds: files.reduce((latest, file) => Math.max(latest, file.modifiedSeconds), 0),
    author,
    coAuthors,
  };
}

/** The oldest versions hold a package.json with comments or trailing commas, which nothing can read today. */
function parsePackage(text: string): z.infer<typeof describedPackage> {
  try {
    return describedPackage.safeParse(JSON.parse(text)).data ?? {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function person(given: unknown): string | undefined {
  if (typeof given === "string") return /^[^<>\n]+ <[^<>\n ]+>/.exec(given)?.[0];
  const named = z.object({ name: z.string(), email: z.string() }).safeParse(given);
  return named.success ? person(`${named.data.name} <${named.data.email}>`) : undefined;
}

/** Writes the versions with `git fast-import`; the same versions always give the same oids. */
export async function importVersions(
  repository: string,
  versions: readonly Version[],
): Promise<Omit<RealHistory, "path">> {
  await using home = await GitHome.open();
  await home.git(["init", "--quiet", "--bare", "--initial-branch=main", repository]);
  await home.git(["fast-import", "--quiet", "--done"], {
    cwd: repository,
    input: fastImport(versions),
    timeoutMs: 120_000,
  });
  await home.git(["repack", "-adq"], { cwd: repository, timeoutMs: 120_000 });
  await home.git(["fsck", "--full", "--strict"], { cwd: repository, timeoutMs: 120_000 });
  return {
    commits: versions.length,
    files: new Set(versions.flatMap(({ files }) => files.map(({ path }) => path))).size,
    tip: await home.line(["rev-parse", "refs/heads/main"], { cwd: repository }),
  };
}

function fastImport(versions: readonly Version[]): Buffer {
  const out: Buffer[] = [];
  const say = (line: string): void => void out.push(Buffer.from(`${line}\n`));
  const data = (content: Buffer): void =>
    void out.push(Buffer.from(`data ${content.length}\n`), content, Buffer.from("\n"));
  const marks = new Map<string, number>();
  for (const { content } of versions.flatMap(({ files }) => files)) {
    const key = contentKey(content);
    if (marks.has(key)) continue;
    marks.set(key, marks.size + 1);
    say(`blob\nmark :${marks.size}`);
    data(content);
  }
  const latestMajor = versions.at(-1)?.major;
  let parent: number | undefined;
  for (const [at, version] of versions.entries()) {
    const mark = marks.size + 1 + at;
    const when = `${version.seconds} +0000`;
    say(`commit refs/heads/${version.major === latestMajor ? "main" : `${version.major}.x`}\nmark :${mark}`);
    say(`author ${version.author} ${when}\ncommitter ${version.author} ${when}`);
    data(Buffer.from(messageOf(version)));
    if (parent !== undefined) say(`from :${parent}`);
    say("deleteall");
    for (const file of version.files) {
      say(
        `M ${file.executable ? "100755" : "100644"} :${marks.get(contentKey(file.content))} ${quoted(file.path)}`,
      );
    }
    say(`\ntag v${version.version}\nfrom :${mark}\ntagger ${version.author} ${when}`);
    data(Buffer.from(`${packageName} ${version.version}\n`));
    parent = mark;
  }
  say("done");
  return Buffer.concat(out);
}

function messageOf(version: Version): string {
  const trailers = version.coAuthors.map((name) => `Co-authored-by: ${name}\n`).join("");
  return `${packageName} ${version.version}\n${trailers === "" ? "" : `\n${trailers}`}`;
}

function contentKey(content: Buffer): string {
  return createHash("sha256").update(content).digest("base64");
}

function quoted(path: string): string {
  return `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
