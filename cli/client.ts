import { z } from "zod";
import { type ErrorCode, GitdError } from "../server/domain/errors.ts";
import { type Address, parseAddress } from "../server/domain/ids.ts";

const addressText = z.string().transform((text): Address => parseAddress(text));
const number = z
  .string()
  .regex(/^-?\d+$/)
  .transform(BigInt);

const infoSchema = z.object({
  agent: z.string(),
  origin: z.string(),
  chainId: number,
  registry: addressText,
  accessBond: addressText,
  codex: addressText,
  rpcUrl: z.string().nullable(),
  faucet: z.boolean(),
  ipfs: z.array(z.string()),
});
export type ServerInfo = z.infer<typeof infoSchema>;

const bondSchema = z.object({
  id: number,
  owner: addressText,
  pool: z.string(),
  deposit: number,
  thawing: number,
  lockEnd: number,
  epoch: z.number(),
  quotaCalls: number,
  quotaBytes: number,
  weight: number,
  signers: z.array(addressText),
  used: z.object({ calls: number, bytes: number, unsettled: number }),
});
export type BondStatus = z.infer<typeof bondSchema>;

export const repositorySchema = z.object({
  id: z.string(),
  path: z.string(),
  owner: addressText,
  objectFormat: z.string(),
  head: z.string(),
  policy: z.string(),
  price: z.object({ perCall: number, perGib: number }),
  seq: number,
  chainHead: z.string(),
  manifest: z.string().nullable(),
});
export type RepositoryStatus = z.infer<typeof repositorySchema>;

export const pushSchema = z.object({
  seq: number,
  pusher: z.string(),
  time: number,
  manifest: z.string(),
  record: z.string(),
  state: z.string(),
  transaction: z.string().nullable(),
  block: number.nullable(),
  updates: z.array(z.object({ ref: z.string(), old: z.string(), new: z.string() })),
  contributions: z.array(
    z.object({ author: z.string(), name: z.string(), escrow: z.boolean(), commits: z.number() }),
  ),
});

const problemSchema = z.object({ code: z.string(), detail: z.string(), fix: z.string().optional() });
const requestMs = 30_000;

/** The JSON API of one server. */
export class ApiClient {
  readonly url: string;

  constructor(url: string) {
    this.url = url.replace(/\/+$/, "");
  }

  info(): Promise<ServerInfo> {
    return this.ask(infoSchema, "GET", "/info");
  }

  bond(id: bigint): Promise<BondStatus> {
    return this.ask(bondSchema, "GET", `/bonds/${id}`);
  }

  async bondsOf(account: Address): Promise<BondStatus[]> {
    return (await this.ask(z.object({ bonds: z.array(bondSchema) }), "GET", `/accounts/${account}`)).bonds;
  }

  /** Throws the server's refusal, or `unavailable` if it does not answer. */
  async ask<T>(
    schema: z.ZodType<T>,
    method: string,
    path: string,
    options: { readonly grant?: string; readonly body?: unknown } = {},
  ): Promise<T> {
    const response = await this.#send(method, path, options);
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, text);
    return schema.parse(text === "" ? undefined : JSON.parse(text));
  }

  async #send(
    method: string,
    path: string,
    { grant, body }: { readonly grant?: string; readonly body?: unknown },
  ): Promise<Response> {
    try {
      return await fetch(`${this.url}/api/v1${path}`, {
        method,
        headers: {
          ...(grant === undefined ? {} : { authorization: `Bearer ${grant}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(requestMs),
      });
    } catch (cause) {
      throw new GitdError("unavailable", `${this.url} does not answer`, {
        fix: "start the server with 'npm start', or name another with GITD_URL",
        cause,
      });
    }
  }
}

function refusal(status: number, text: string): GitdError {
  const problem = problemSchema.safeParse(safeJson(text));
  if (!problem.success) return new GitdError("internal", `the server answered ${status}`);
  const { code, detail, fix } = problem.data;
  return new GitdError(code as ErrorCode, detail, fix === undefined ? {} : { fix });
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
