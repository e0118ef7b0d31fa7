import { readFile, readdir } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

/**
 * The rules of the house, checked on the text of its files. `faultsOf` takes a file table rather than a folder, so the
 * test can show that each rule bites.
 */
export type Files = ReadonlyMap<string, string>;

export interface Import {
  readonly from: string;
  /** A path inside the checkout, a package, or `node:...`. */
  readonly to: string;
  readonly typeOnly: boolean;
  /** Loaded when the code gets there, not when the file is. */
  readonly dynamic: boolean;
}

export const linesMax = 300;
const rooms = ["git", "content", "ledger", "chain"] as const;
/** Packages of pure functions. */
const purePackages = /^(multiformats|@ipld\/dag-(cbor|pb)|ipfs-unixfs|@noble\/|zod)/;
const composition = /^(server\/compose(-[a-z]+)*\.ts|server\/compose\/.*|cli\/context\.ts)$/;
const mainFiles = /^(server\/(main|node|front)\.ts|cli\/main\.ts|contracts\/compile\.ts|test\/.*)$/;
const environmentReaders = /^(server\/config\.ts|cli\/context\.ts|test\/.*)$/;
const vagueNames = /(^|\/)(utils?|helpers?|common|misc|shared)(\.[a-z.]+)?(\/|$)/i;
const pureBuiltins = new Set(["node:buffer", "node:crypto"]);
/** What the process that speaks HTTP must not carry: each costs it tens of megabytes. */
const heavyPackages = /^(helia|@helia\/|libp2p|@libp2p\/|@chainsafe\/libp2p|ethers|kubo-rpc-client)/;

/** Every file of the checkout that the rules are about. */
export async function readHouse(root: string): Promise<Files> {
  const files = new Map<string, string>();
  for (const folder of ["server", "hooks", "cli", "contracts", "test"]) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name).slice(join(root, "/").length);
      if (!entry.isFile() || /^contracts\/(artifacts|out|cache)\/|^test\/solidity\/(out|cache)\//.test(path))
        continue;
      files.set(path, await readFile(join(root, path), "utf8"));
    }
  }
  return files;
}

/** One sentence for each broken rule. */
export function faultsOf(files: Files): string[] {
  const sources = new Map([...files].filter(([path]) => path.endsWith(".ts")));
  const imports = [...sources].flatMap(([path, text]) => importsOf(path, text));
  const isPure = purity(sources, imports);
  return [
    ...imports.flatMap((entry) => floorFault(entry, isPure)),
    ...circles(imports),
    ...[...files].flatMap(([path, text]) => nameAndSizeFaults(path, text)),
    ...[...sources].flatMap(([path, text]) => textFaults(path, text)),
    ...heavyInFront(imports),
  ];
}

export function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  const statement =
    /^(?:import|export)\s+(type\s+)?(?:([^"';]*?)\s+from\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;
  for (const [, type, names = "", target, dynamic] of text.matchAll(statement)) {
    const inner = /^\{(.*)\}$/s.exec(names.trim())?.[1];
    const each = inner?.split(",").filter((name) => name.trim() !== "") ?? [];
    const typeOnly =
      type !== undefined || (each.length > 0 && each.every((name) => name.trim().startsWith("type ")));
    const to = target ?? dynamic ?? "";
    const resolved = to.startsWith(".") ? normalize(join(dirname(path), to)) : to;
    found.push({ from: path, to: resolved, typeOnly, dynamic: dynamic !== undefined });
  }
  return found;
}

/** Told for a path; a file that is not there is not pure. */
type Purity = (path: string) => boolean;

/** Whether a file does no I/O, nor does anything that it imports: codecs, which any floor above may use as they are. */
function purity(sources: Files, imports: readonly Import[]): Purity {
  const graph = graphOf(imports.filter(({ typeOnly }) => !typeOnly));
  const isPure = (path: string, trail: readonly string[]): boolean => {
    if (path.startsWith("node:")) return pureBuiltins.has(path);
    if (!/^(server|hooks)\//.test(path)) return purePackages.test(path);
    if (trail.includes(path)) return true;
    return sources.has(path) && (graph.get(path) ?? []).every((next) => isPure(next, [...trail, path]));
  };
  return (path) => isPure(path, []);
}

function floorFault(entry: Import, isPure: Purity): string[] {
  const why = allowed(entry, isPure);
  return why === undefined ? [] : [`${entry.from} imports ${entry.to}: ${why}`];
}

/** Undefined, or why the house does not allow it. */
function allowed({ from, to, typeOnly }: Import, isPure: Purity): string | undefined {
  const here = placeOf(from);
  const there = placeOf(to);
  if (here.floor === undefined || here.name === "test") return undefined;
  if (here.name === "domain") {
    if (to.startsWith("node:") && !pureBuiltins.has(to)) return "the domain does no I/O";
    if (heavyPackages.test(to)) return "the domain carries no machinery";
  }
  if (there.floor === undefined) return undefined;
  if (there.name === "test") return "only tests import tests";
  if (here.name === "cli") return cliFault(from, to, typeOnly);
  if (there.name === "cli") return "nothing imports the CLI";
  if (isInRoom(to) && !isPure(to) && here.name !== there.name && !composition.test(from)) {
    return "adapters are named only where the program is composed";
  }
  if (here.name === there.name) return undefined;
  if (there.floor < here.floor) return undefined;
  if (there.floor === here.floor && typeOnly && (there.name === "log" || there.name === "config"))
    return undefined;
  return there.floor === here.floor
    ? "rooms of one floor do not know one another"
    : "it lies on a higher floor";
}

function cliFault(from: string, to: string, typeOnly: boolean): string | undefined {
  const there = placeOf(to);
  if (["cli", "domain", "contracts"].includes(there.name) || composition.test(from)) return undefined;
  if (typeOnly && to.endsWith("/port.ts")) return undefined;
  return "the CLI knows the domain and the types of ports";
}

/** Whether a path lies behind a room's door. */
function isInRoom(path: string): boolean {
  return rooms.some((name) => path.startsWith(`server/${name}/`) && path !== `server/${name}/port.ts`);
}

interface Place {
  readonly name: string;
  readonly floor: number | undefined;
}

function placeOf(path: string): Place {
  const [top = "", second = ""] = path.split("/");
  if (top === "test") return { name: "test", floor: 9 };
  if (top === "cli") return { name: "cli", floor: 8 };
  if (top === "hooks") return { name: "hooks", floor: 1 };
  if (top === "contracts") return { name: "contracts", floor: 0 };
  if (top !== "server") return { name: "", floor: undefined };
  if (second === "domain") return { name: "domain", floor: 0 };
  if (rooms.some((room) => room === second)) return { name: second, floor: 1 };
  if (/^(config|variables)\.ts$/.test(second)) return { name: "config", floor: 1 };
  if (second === "log.ts") return { name: "log", floor: 1 };
  if (second === "flows") return { name: "flows", floor: 2 };
  if (second === "http") return { name: "http", floor: 3 };
  if (composition.test(path)) return { name: "compose", floor: 5 };
  if (/^(main|node|front)\.ts$/.test(second)) return { name: "main", floor: 6 };
  return { name: "process", floor: 4 };
}

/** Files that import one another in a circle, each circle once. */
function circles(imports: readonly Import[]): string[] {
  const graph = graphOf(imports.filter(({ typeOnly }) => !typeOnly));
  const found = new Set<string>();
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      const circle = trail.slice(trail.indexOf(path));
      const first = circle.indexOf([...circle].sort()[0] ?? "");
      found.add([...circle.slice(first), ...circle.slice(0, first)].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return [...found].map((circle) => `a circle: ${circle}`);
}

function heavyInFront(imports: readonly Import[]): string[] {
  const graph = graphOf(imports.filter(({ typeOnly, dynamic }) => !typeOnly && !dynamic));
  const faults: string[] = [];
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const next of graph.get(path) ?? []) {
      if (heavyPackages.test(next))
        faults.push(`server/front.ts loads ${next} through ${path}: it must stay lean`);
      else visit(next);
    }
  };
  visit("server/front.ts");
  return faults;
}

function graphOf(imports: readonly Import[]): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const { from, to } of imports) {
    const known = graph.get(from);
    if (known === undefined) graph.set(from, [to]);
    else known.push(to);
  }
  return graph;
}

function nameAndSizeFaults(path: string, text: string): string[] {
  const faults: string[] = [];
  const lines = text.split("\n").length - 1;
  if (/\.(ts|sol|sh)$/.test(path) && lines > linesMax)
    faults.push(`${path} has ${lines} lines, over ${linesMax}`);
  if (vagueNames.test(path) && !path.startsWith("test/")) faults.push(`${path} says nothing with its name`);
  if (
    path.endsWith(".ts") &&
    !/^[a-z0-9.-]+$/.test(path.split("/").at(-1) ?? "") &&
    !path.startsWith("contracts/")
  ) {
    faults.push(`${path} is not in kebab-case`);
  }
  return faults;
}

function textFaults(path: string, text: string): string[] {
  const faults: string[] = [];
  const say = (pattern: RegExp, why: string): void => {
    const line = pattern.exec(text);
    if (line !== null) faults.push(`${path}:${text.slice(0, line.index).split("\n").length} ${why}`);
  };
  say(/^export default\b|\bas default\b/m, "has a default export");
  say(/^(?:export )?(?:let|var) /m, "keeps state in a module");
  if (!environmentReaders.test(path)) say(/\bprocess\.env\b/, "reads the environment");
  if (!mainFiles.test(path)) say(/\bprocess\.exit(Code)?\b/, "ends the process");
  say(/-----BEGIN [A-Z ]*PRIVATE KEY-----\n/, "holds a private key");
  say(/\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|npm_[A-Za-z0-9]{36})\b/, "holds a credential");
  if (!path.startsWith("test/")) {
    say(/\btest test test test test test test test test test test junk\b/, "holds the well-known mnemonic");
  }
  say(/["'`](\/root|\/home\/[a-z])/, "names a path of one machine");
  return faults;
}
