import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { GitdError } from "./domain/errors.ts";
import { type Address, parseAddress } from "./domain/ids.ts";
import { type Variable, variables } from "./variables.ts";

/** What `npm start` runs with. Every folder is absolute; sizes and durations carry their unit. */
export interface Config {
  readonly host: string;
  readonly port: number;
  /** Origins that Grants may name as their audience; the first one is printed. */
  readonly origins: readonly string[];
  readonly fronts: number;
  readonly logLevel: string;
  readonly data: DataFolders;
  readonly databaseUrl: string | undefined;
  readonly kuboRpc: string | undefined;
  readonly chain: ChainConfig;
  readonly ipfs: IpfsConfig;
  readonly packBytesMax: bigint;
  readonly drainMs: number;
  /** Folders where git is looked for. */
  readonly gitPath: string;
}

export interface DataFolders {
  readonly root: string;
  readonly ledger: string;
  readonly content: string;
  readonly cache: string;
  readonly keys: string;
  readonly chain: string;
  readonly run: string;
  readonly ipfs: string;
  /** Settings of git processes, and what unfinished pushes brought. */
  readonly git: string;
}

export type ChainConfig = EmbeddedChainConfig | ExternalChainConfig;

interface ChainTiming {
  /** How long the outbox gathers Pushes before it sends them as one batch. */
  readonly batchWindowMs: number;
  readonly pollMs: number;
  /** Blocks on top of a transaction before it counts as final. */
  readonly confirmations: number;
}

export interface EmbeddedChainConfig extends ChainTiming {
  readonly kind: "embedded";
  /** 0 takes a free port. */
  readonly port: number;
}

export interface ExternalChainConfig extends ChainTiming {
  readonly kind: "external";
  readonly rpcUrl: string;
  readonly registry: Address;
  readonly accessBond: Address;
}

export interface IpfsConfig {
  /** libp2p multiaddrs to listen on. */
  readonly listen: readonly string[];
  /** Peers to keep a connection to. */
  readonly peers: readonly string[];
}

type VariableName = (typeof variables)[number]["name"];
type Environment = Readonly<Record<string, string | undefined>>;

/** Reads and cross-checks the environment; throws `invalid` that names the variable at fault. */
export function loadConfig(environment: Environment = process.env): Config {
  const text = (name: VariableName): string => environment[name] || fallbackOf(name);
  const host = text("GITD_HOST");
  const port = integer("GITD_PORT", text("GITD_PORT"), 0, 65_535);
  const root = resolve(text("GITD_DATA"));
  return {
    host,
    port,
    origins: originsOf(text("GITD_ORIGIN"), host, port),
    fronts: integer("GITD_FRONTS", text("GITD_FRONTS") || String(availableParallelism()), 1, 256),
    logLevel: level(text("GITD_LOG_LEVEL")),
    data: foldersIn(root),
    databaseUrl: url("GITD_DATABASE_URL", text("GITD_DATABASE_URL"), ["postgres:", "postgresql:"]),
    kuboRpc: url("GITD_KUBO_RPC", text("GITD_KUBO_RPC"), ["http:", "https:"]),
    chain: chainOf(text),
    ipfs: { listen: list(text("GITD_IPFS_LISTEN")), peers: list(text("GITD_IPFS_PEERS")) },
    packBytesMax: BigInt(
      integer("GITD_PACK_BYTES_MAX", text("GITD_PACK_BYTES_MAX"), 1024, Number.MAX_SAFE_INTEGER),
    ),
    drainMs: integer("GITD_DRAIN_MS", text("GITD_DRAIN_MS"), 0, 3_600_000),
    gitPath: environment["PATH"] ?? "",
  };
}

export interface ShownVariable {
  readonly name: string;
  readonly value: string;
  readonly isDefault: boolean;
  readonly meaning: string;
}

/** The environment as `gitd config` shows it: every variable with its value in force; passwords inside URLs cut out. */
export function describeConfig(environment: Environment = process.env): ShownVariable[] {
  return variables.map((variable: Variable) => {
    const set = environment[variable.name];
    const value = set || variable.fallback;
    return {
      name: variable.name,
      value: variable.secret === true ? withoutPassword(value) : value,
      isDefault: !set,
      meaning: variable.meaning,
    };
  });
}

/** This process' environment with `extra` on top: what a child process is started with. */
export function childEnvironment(extra: Readonly<Record<string, string>>): Record<string, string> {
  const own = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return { ...Object.fromEntries(own), ...extra };
}

/** Whether only this machine can reach the server: what is meant for development refuses to run otherwise. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function chainOf(text: (name: VariableName) => string): ChainConfig {
  const rpcUrl = url("GITD_CHAIN_RPC", text("GITD_CHAIN_RPC"), ["http:", "https:"]);
  const external = rpcUrl !== undefined;
  const timing = {
    batchWindowMs: integer(
      "GITD_BATCH_WINDOW_MS",
      text("GITD_BATCH_WINDOW_MS") || (external ? "60000" : "1000"),
      0,
      3_600_000,
    ),
    pollMs: integer("GITD_POLL_MS", text("GITD_POLL_MS") || (external ? "4000" : "250"), 10, 600_000),
    confirmations: integer(
      "GITD_CHAIN_CONFIRMATIONS",
      text("GITD_CHAIN_CONFIRMATIONS") || (external ? "12" : "0"),
      0,
      10_000,
    ),
  };
  if (rpcUrl === undefined) {
    return {
      kind: "embedded",
      port: integer("GITD_CHAIN_PORT", text("GITD_CHAIN_PORT"), 0, 65_535),
      ...timing,
    };
  }
  return {
    kind: "external",
    rpcUrl,
    registry: contractAddress("GITD_REGISTRY", text("GITD_REGISTRY")),
    accessBond: contractAddress("GITD_ACCESS_BOND", text("GITD_ACCESS_BOND")),
    ...timing,
  };
}

function foldersIn(root: string): DataFolders {
  return {
    root,
    ledger: join(root, "ledger.sqlite"),
    content: join(root, "content"),
    cache: join(root, "cache"),
    keys: join(root, "keys"),
    chain: join(root, "chain"),
    run: join(root, "run"),
    ipfs: join(root, "ipfs"),
    git: join(root, "git"),
  };
}

function originsOf(given: string, host: string, port: number): string[] {
  const named = list(given).map((entry) => {
    const parsed = z.url({ protocol: /^https?$/ }).safeParse(entry);
    if (!parsed.success) throw wrong("GITD_ORIGIN", entry, "a URL such as https://git.example.org");
    return new URL(entry).origin;
  });
  const own = [`http://${host.includes(":") ? `[${host}]` : host}:${port}`];
  if (isLoopback(host)) own.push(`http://localhost:${port}`, `http://127.0.0.1:${port}`);
  return [...new Set([...named, ...own])];
}

function contractAddress(name: VariableName, value: string): Address {
  if (!/^0x[0-9a-fA-F]{40}$/.test(value)) {
    throw wrong(name, value, "the contract's address, since GITD_CHAIN_RPC is set");
  }
  return parseAddress(value);
}

function level(value: string): string {
  const names = ["trace", "debug", "info", "warn", "error", "silent"];
  if (!names.includes(value)) throw wrong("GITD_LOG_LEVEL", value, `one of ${names.join(", ")}`);
  return value;
}

function url(name: VariableName, value: string, protocols: readonly string[]): string | undefined {
  if (value === "") return undefined;
  if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol)) {
    throw wrong(name, withoutPassword(value), `a URL that starts with ${protocols.join(" or ")}//`);
  }
  return value;
}

function integer(name: VariableName, value: string, least: number, most: number): number {
  const parsed = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!(parsed >= least && parsed <= most))
    throw wrong(name, value, `a whole number from ${least} to ${most}`);
  return parsed;
}

function list(value: string): string[] {
  return value
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

function fallbackOf(name: VariableName): string {
  return variables.find((variable) => variable.name === name)?.fallback ?? "";
}

function withoutPassword(value: string): string {
  return value.replace(/(:\/\/[^:@/]*):[^@/]*@/, "$1:***@");
}

function wrong(name: string, value: string, wanted: string): GitdError {
  return new GitdError("invalid", `${name} is '${value}', which is not ${wanted}`, {
    fix: "see every variable and its meaning with: npx gitd config",
  });
}
