import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Wallet } from "ethers";
import { z } from "zod";
import {
  type Grant,
  encodeGrant,
  grantDomain,
  grantStruct,
  grantValues,
  parseScope,
} from "../server/domain/grant.ts";
import { GitdError } from "../server/domain/errors.ts";
import { type Address, parseAddress, parseBytes32 } from "../server/domain/ids.ts";
import type { ApiClient, BondStatus } from "./client.ts";

/** What a Grant is to allow; without a Bond it signs its account in but pays for nothing. */
export interface GrantTerms {
  readonly scope: string;
  /** µCODEX. */
  readonly cap: bigint;
  readonly seconds: bigint;
  readonly bond: BondStatus | undefined;
}

/** Signs a Grant for one server with the wallet. */
export async function mintGrant(wallet: Wallet, client: ApiClient, terms: GrantTerms): Promise<string> {
  const { chainId, accessBond, origin } = await client.info();
  const audience = new URL(client.url).origin;
  const grant: Grant = {
    account: parseAddress(wallet.address),
    bond: terms.bond?.id ?? 0n,
    service: 1,
    audience: isSameHost(audience, origin) ? audience : origin,
    scope: parseScope(terms.scope),
    cap: terms.cap,
    deadline: BigInt(Math.floor(Date.now() / 1000)) + terms.seconds,
    epoch: terms.bond?.epoch ?? 0,
    nonce: parseBytes32(`0x${randomBytes(32).toString("hex")}`),
  };
  const domain = grantDomain(chainId, accessBond);
  const types = { [grantStruct.name]: [...grantStruct.fields] };
  return encodeGrant({ grant, signature: await wallet.signTypedData(domain, types, grantValues(grant)) });
}

/** The account's Bond with the most free deposit; undefined if it has none. */
export async function bestBond(client: ApiClient, account: Address): Promise<BondStatus | undefined> {
  const bonds = await client.bondsOf(account);
  return bonds.reduce<BondStatus | undefined>(
    (best, bond) => (best === undefined || free(bond) > free(best) ? bond : best),
    undefined,
  );
}

/** Reads `30d`, `12h`, `45m` or `90s` into seconds; at most a year. */
export function parseSeconds(text: string): bigint {
  const match = /^(\d{1,8})([smhd])$/.exec(text);
  const unit = { s: 1n, m: 60n, h: 3_600n, d: 86_400n }[match?.[2] as "s" | "m" | "h" | "d"];
  const seconds = match === null || unit === undefined ? 0n : BigInt(match[1] as string) * unit;
  if (seconds > 0n && seconds <= 366n * 86_400n) return seconds;
  throw new GitdError("invalid", `'${text.slice(0, 40)}' is not a time up to a year`, {
    fix: "write it like 30d, 12h, 45m or 90s",
  });
}

const loginSchema = z.object({
  account: z.string(),
  grant: z.string(),
  deadline: z.number(),
  cap: z.string(),
});
const loginsSchema = z.record(z.string(), loginSchema);
export type Login = z.infer<typeof loginSchema>;

/** The Grants that the credential helper answers with, one for each server, in a file that only its owner may read. */
export class LoginFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async get(origin: string): Promise<Login | undefined> {
    return (await this.#read())[origin];
  }

  async put(origin: string, login: Login): Promise<void> {
    await this.#write({ ...(await this.#read()), [origin]: login });
  }

  async remove(origin: string): Promise<boolean> {
    const { [origin]: removed, ...others } = await this.#read();
    if (removed === undefined) return false;
    if (Object.keys(others).length === 0) await rm(this.#path, { force: true });
    else await this.#write(others);
    return true;
  }

  async #read(): Promise<Readonly<Record<string, Login>>> {
    try {
      return loginsSchema.parse(JSON.parse(await readFile(this.#path, "utf8")));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return {};
      throw error;
    }
  }

  async #write(logins: Readonly<Record<string, Login>>): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await writeFile(`${this.#path}.new`, JSON.stringify(logins), { mode: 0o600 });
    await rename(`${this.#path}.new`, this.#path);
  }
}

function free(bond: BondStatus): bigint {
  return bond.deposit - bond.thawing;
}

/** A server on this machine answers under several names of it; Grants then name the one in use. */
function isSameHost(asked: string, told: string): boolean {
  const loopback = ["localhost", "127.0.0.1", "[::1]"];
  const [a, b] = [new URL(asked), new URL(told)];
  return a.port === b.port && loopback.includes(a.hostname) && loopback.includes(b.hostname);
}
