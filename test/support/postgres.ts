import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Client } from "pg";
import { type Program, startProgram, until } from "./processes.ts";

const debianRoot = "/usr/lib/postgresql";
const startMs = 30_000;
const stopMs = 15_000;

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Where PostgreSQL's programs are: Debian's folder (newest version first) or the search path; undefined if nowhere. */
export function findPostgres(): string | undefined {
  const versions = existsSync(debianRoot)
    ? readdirSync(debianRoot)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(debianRoot, version, "bin"))
    : [];
  const folders = [...versions, ...(process.env["PATH"] ?? "").split(delimiter)];
  return folders.find((folder) => ["initdb", "postgres"].every((name) => existsSync(join(folder, name))));
}

/** A PostgreSQL cluster that lives in a temporary folder and is gone afterwards; fsync stays on, as in production. */
export class Postgres implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  readonly #server: Program;
  #databases = 0;

  private constructor(folder: string, port: number, server: Program) {
    this.#folder = folder;
    this.#port = port;
    this.#server = server;
  }

  static async start(binaries: string): Promise<Postgres> {
    const folder = await mkdtemp(join(tmpdir(), "gitd-pg-"));
    const owner = await giveAway(folder);
    const data = join(folder, "data");
    await initialize(join(binaries, "initdb"), data, owner);
    const port = await freePort();
    const server = startProgram(
      join(binaries, "postgres"),
      ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", folder, "-c", "max_connections=200"],
      { cwd: folder, env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C" }, ...(owner && { as: owner }) },
    );
    const cluster = new Postgres(folder, port, server);
    try {
      await until("PostgreSQL to answer", () => cluster.#answers(), startMs);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw new Error(`PostgreSQL did not start:\n${server.output}`, { cause: error });
    }
    return cluster;
  }

  /** Makes an empty database and returns its address. */
  async createDatabase(): Promise<string> {
    this.#databases += 1;
    const name = `gitd_${this.#databases}`;
    await this.query(this.#urlOf("postgres"), `create database ${name}`);
    return this.#urlOf(name);
  }

  /** Over the cluster's unix socket, which no one else on the machine reaches. */
  #urlOf(database: string): string {
    return `postgresql://gitd@/${database}?host=${encodeURIComponent(this.#folder)}&port=${this.#port}`;
  }

  async query(url: string, text: string): Promise<void> {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // NOTE: SIGINT is PostgreSQL's fast shutdown. Only the postmaster may get it; to its children it means something else.
      if (!this.#server.ended) process.kill(this.#server.pid, "SIGINT");
      await until("PostgreSQL to end", () => this.#server.ended, stopMs);
    } finally {
      await this.#server[Symbol.asyncDispose]();
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #answers(): Promise<boolean> {
    if (this.#server.ended) throw new Error("PostgreSQL ended");
    try {
      await this.query(this.#urlOf("postgres"), "select 1");
      return true;
    } catch (error) {
      if (error instanceof Error) return false;
      throw error;
    }
  }
}

/** PostgreSQL refuses to run as root, so root gives the folder to another user and runs it as that one. */
async function giveAway(folder: string): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = userOf("postgres") ?? userOf("nobody");
  if (owner === undefined)
    throw new Error("root needs a user called postgres or nobody to run PostgreSQL as");
  await chown(folder, owner.uid, owner.gid);
  await chmod(folder, 0o700);
  return owner;
}

function userOf(name: string): Owner | undefined {
  try {
    const ask = (flag: string): number =>
      Number(execFileSync("id", [flag, name], { stdio: "pipe" }).toString());
    return { uid: ask("-u"), gid: ask("-g") };
  } catch (error) {
    if (error instanceof Error && "status" in error) return undefined;
    throw error;
  }
}

async function initialize(initdb: string, data: string, owner: Owner | undefined): Promise<void> {
  const child = spawn(
    initdb,
    ["-D", data, "-U", "gitd", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"],
    { stdio: ["ignore", "pipe", "pipe"], cwd: tmpdir(), ...owner, timeout: startMs },
  );
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new Error(`initdb ended with ${String(code)}:\n${output}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
