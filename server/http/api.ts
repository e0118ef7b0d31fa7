import { type Express, type Request, Router, json } from "express";
import { z } from "zod";
import { GitdError } from "../domain/errors.ts";
import { decodeGrant, grantDigest, grantDomain } from "../domain/grant.ts";
import { type RepoPath, parseAddress, parseRepoPath } from "../domain/ids.ts";
import type { Administrator } from "../flows/administer.ts";
import { bondView, plain, pushView, repositoryView } from "./api-views.ts";
import { type Verifier, identify } from "./identify.ts";
import { forbidCaching } from "./respond.ts";

export interface ApiFacts {
  readonly chainId: string;
  readonly registry: Parameters<typeof grantDomain>[1];
  readonly accessBond: Parameters<typeof grantDomain>[1];
  readonly codex: string;
  readonly rpcUrl: string | null;
  readonly faucet: boolean;
  readonly ipfs: readonly string[];
}

export interface ApiParts {
  readonly administrator: Administrator;
  readonly verifier: Verifier;
  readonly agent: string;
  /** The audience that Grants should name. */
  readonly origin: string;
  readonly facts: () => Promise<ApiFacts>;
}

const bodyBytesMax = 64 * 1024;
const rowsMax = 1_000;
const rowsDefault = 50;

const branch = z
  .string()
  .regex(/^(?![/.-])(?!.*(?:\.\.|\/\/|@\{|\.lock(?:\/|$)))[^\s~^:?*[\\\p{Cc}]{1,200}(?<![/.])$/u);
const amount = z
  .string()
  .regex(/^\d{1,18}$/)
  .transform(BigInt);
const policy = z.enum(["open", "bonded", "private"]);
const newRepository = z.strictObject({
  path: z.string().max(200),
  objectFormat: z.enum(["sha1", "sha256"]).default("sha1"),
  defaultBranch: branch.optional(),
  policy: policy.optional(),
});
const repositoryChange = z.strictObject({
  policy: policy.optional(),
  price: z.strictObject({ perCall: amount, perGib: amount }).optional(),
  defaultBranch: branch.optional(),
});
const revocation = z.strictObject({ grant: z.string().max(8000) });

/** The JSON API below `/api/v1`. Amounts are µCODEX as decimal strings; refusals are application/problem+json. */
export function addApiRoutes(app: Express, parts: ApiParts): void {
  const router = Router();
  router.use((_request, response, next) => {
    forbidCaching(response);
    next();
  });
  router.use(json({ limit: bodyBytesMax, strict: true }));
  addLookups(router, parts);
  addRepositories(router, parts);
  addGrants(router, parts);
  app.use("/api/v1", router);
}

function addLookups(router: Router, { administrator, verifier, agent, origin, facts }: ApiParts): void {
  router.get("/info", async (_request, response) => {
    response.json({ agent, origin, ...(await facts()) });
  });
  router.get("/bonds/:id", async (request, response) => {
    const id = numberIn(request.params.id);
    response.json(bondView(await administrator.bond(id)));
  });
  router.get("/accounts/:address", async (request, response) => {
    const bonds = await administrator.bondsOf(parseAddress(request.params.address));
    response.json({
      bonds: await Promise.all(bonds.map(async ({ id }) => bondView(await administrator.bond(id)))),
    });
  });
  router.get("/receipts", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    response.json({ receipts: plain(await administrator.receipts(identity, limitOf(request))) });
  });
}

function addRepositories(router: Router, { administrator, verifier }: ApiParts): void {
  router.post("/repositories", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    const { path, objectFormat, defaultBranch, policy: chosen } = parse(newRepository, request.body);
    const made = await administrator.create(identity, parseRepoPath(path), {
      objectFormat,
      defaultBranch,
      policy: chosen,
    });
    response.status(201).json(repositoryView(made));
  });
  router.get("/repositories", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    response.json({ repositories: (await administrator.list(identity)).map(repositoryView) });
  });
  router.get("/repositories/:namespace/:name", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    response.json(repositoryView(await administrator.show(identity, pathOf(request))));
  });
  router.patch("/repositories/:namespace/:name", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    const { policy: chosen, price, defaultBranch } = parse(repositoryChange, request.body);
    const changed = await administrator.change(identity, pathOf(request), {
      ...(chosen === undefined ? {} : { policy: chosen }),
      ...(price === undefined ? {} : { price }),
      ...(defaultBranch === undefined ? {} : { defaultBranch }),
    });
    response.json(repositoryView(changed));
  });
  router.get("/repositories/:namespace/:name/pushes", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    const before = request.query["before"];
    const beforeSeq = typeof before === "string" ? numberIn(before) : undefined;
    const pushes = await administrator.log(identity, pathOf(request), limitOf(request), beforeSeq);
    response.json({ pushes: pushes.map(pushView) });
  });
  router.get("/repositories/:namespace/:name/writers", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    response.json({ writers: await administrator.writers(identity, pathOf(request)) });
  });
  for (const [verb, allowed] of [
    ["put", true],
    ["delete", false],
  ] as const) {
    router[verb]("/repositories/:namespace/:name/writers/:address", async (request, response) => {
      const identity = await identify(request.headers, verifier);
      const account = parseAddress(request.params.address);
      await administrator.setWriter(identity, pathOf(request), account, allowed);
      response.status(204).end();
    });
  }
}

function addGrants(router: Router, { administrator, verifier, facts }: ApiParts): void {
  router.post("/grants/revoke", async (request, response) => {
    const identity = await identify(request.headers, verifier);
    const { grant } = decodeGrant(parse(revocation, request.body).grant);
    const { chainId, accessBond } = await facts();
    const id = grantDigest(grantDomain(BigInt(chainId), accessBond), grant);
    await administrator.revoke(identity, { id, account: grant.account });
    response.status(204).end();
  });
}

function pathOf(request: Request<{ namespace: string; name: string }>): RepoPath {
  return parseRepoPath(`${request.params.namespace}/${request.params.name}`);
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join(".") ?? "";
  throw new GitdError(
    "invalid",
    `the request's ${place === "" ? "body" : `field '${place}'`} is not understood: ${issue?.message}`,
  );
}

function limitOf(request: Request): number {
  const { limit } = request.query;
  if (limit === undefined) return rowsDefault;
  const count = typeof limit === "string" ? Number(numberIn(limit)) : 0;
  if (count < 1 || count > rowsMax) throw new GitdError("invalid", `limit is a number from 1 to ${rowsMax}`);
  return count;
}

function numberIn(text: string): bigint {
  if (!/^\d{1,18}$/.test(text))
    throw new GitdError("invalid", `'${text.slice(0, 40)}' is not a whole number`);
  return BigInt(text);
}
