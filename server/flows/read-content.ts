import { createHash } from "node:crypto";
import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import type { ContentStore } from "../content/port.ts";
import type { Repository, RepositoryLedger } from "../ledger/port.ts";
import type { Admission, Admittance, ReadPlan } from "./admit.ts";
import type { Identity } from "./identity.ts";

export type ContentFormat = "raw" | "car" | "file";

export interface ReadContentParts {
  readonly ledger: Pick<RepositoryLedger, "repositoriesHolding" | "repositoryById">;
  readonly content: Pick<ContentStore, "getBlock" | "hasBlock" | "readFile" | "stat">;
  readonly admittance: Admittance;
  /** The file or block `root` with every block below it as a CAR version 1 stream. */
  readonly car: (root: Cid, options: { readonly signal: AbortSignal }) => AsyncIterable<Uint8Array>;
}

/** Content that the reader may have. Reading `bytes` is what costs. */
export interface ReadableContent {
  /** Undefined where it is only known at the end (CAR). */
  readonly sizeBytes: bigint | undefined;
  bytes(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Repositories looked at to find one that the reader may read: content shared by more is found through its other holders. */
const holdersMax = 100;
/** Set aside at most for the blocks below a Manifest, record or page. */
const blockCarBytesMax = 64n * 1024n * 1024n;

/**
 * Opens what a Cid names, for who may read one of the repositories that hold it: as one block (`raw`), with all below
 * it (`car`), or as the file it is the root of. Whoever may read none is told `not-found`, or to sign in.
 */
export class ContentReader {
  readonly #parts: ReadContentParts;

  constructor(parts: ReadContentParts) {
    this.#parts = parts;
  }

  async open(
    identity: Identity,
    cid: Cid,
    format: ContentFormat,
    signal: AbortSignal,
  ): Promise<ReadableContent> {
    const { content, car, admittance } = this.#parts;
    if (!(await content.hasBlock(cid))) throw absent(cid);
    const file = await content.stat(cid);
    const kind = format === "file" && file === undefined ? "raw" : format;
    const block = kind === "raw" ? await content.getBlock(cid, { signal }) : undefined;
    const sizeBytes = block === undefined ? (file?.sizeBytes ?? 0n) : BigInt(block.length);
    const plan = planOf(kind, sizeBytes, file !== undefined);
    const repository = await this.#readable(identity, cid, plan);
    return {
      sizeBytes: kind === "car" ? undefined : sizeBytes,
      bytes: (reading) =>
        metered(
          () => admittance.admitRead(identity, repository, plan),
          block !== undefined
            ? one(block)
            : kind === "car"
              ? car(cid, { signal: reading })
              : content.readFile(cid, { signal: reading }),
        ),
    };
  }

  /** A repository with the Cid that the reader may read, free ones first; throws the most helpful refusal otherwise. */
  async #readable(identity: Identity, cid: Cid, plan: ReadPlan): Promise<Repository> {
    let paid: Repository | undefined;
    let refusal: unknown;
    for (const id of (await this.#parts.ledger.repositoriesHolding(cid)).slice(0, holdersMax)) {
      const repository = await this.#parts.ledger.repositoryById(id);
      if (repository === undefined) continue;
      try {
        const access = await this.#parts.admittance.checkRead(identity, repository, plan);
        if (access === "free") return repository;
        paid ??= repository;
      } catch (error) {
        if (!(error instanceof GitdError)) throw error;
        // NOTE: a private repository's refusal must not show that it has the content.
        if (repository.policy !== "private") refusal ??= error;
      }
    }
    if (paid !== undefined) return paid;
    throw refusal ?? absent(cid);
  }
}

/** A CAR is a little larger than the file in it; how much lies below a Manifest or a page is not known beforehand. */
function planOf(kind: ContentFormat, sizeBytes: bigint, isFile: boolean): ReadPlan {
  if (kind !== "car") return { bytes: sizeBytes, whole: true, operation: "gateway" };
  if (!isFile) return { bytes: blockCarBytesMax, whole: false, operation: "gateway" };
  return { bytes: sizeBytes + sizeBytes / 64n + 4096n, whole: true, operation: "gateway" };
}

async function* metered(
  admit: () => Promise<Admission>,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const admission = await admit();
  const hash = createHash("sha256");
  let bytesSent = 0n;
  let complete = false;
  try {
    for await (const chunk of source) {
      if (admission.bytesMax !== undefined && bytesSent + BigInt(chunk.length) > admission.bytesMax) {
        throw new GitdError("quota-exhausted", "what the bond allows for this read is used up", {
          fix: "see what is left with: gitd bond status",
        });
      }
      yield chunk;
      bytesSent += BigInt(chunk.length);
      hash.update(chunk);
    }
    complete = true;
  } finally {
    if (bytesSent === 0n) await admission.drop();
    else await admission.finish({ bytesSent, complete, contentSha256: hash.digest("hex") });
  }
}

async function* one(block: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield block;
}

function absent(cid: Cid): GitdError {
  return new GitdError("not-found", `no repository that you may read here has ${cid}`, {
    fix: "check the CID; for a repository that is not open, send a Grant",
  });
}
