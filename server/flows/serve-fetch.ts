import { hidden, signIn } from "../../hooks/pre-upload.ts";
import { GitdError, explain } from "../domain/errors.ts";
import { type RepoPath, formatRepoPath } from "../domain/ids.ts";
import type { GitEngine } from "../git/port.ts";
import { encodeBand, encodeFlush } from "../git/pkt-line.ts";
import { type Admission, type Admittance, readSecondsMax } from "./admit.ts";
import type { Identity } from "./identity.ts";
import type { OpenRepositories, OpenRepository } from "./open-repo.ts";
import { PackMeter } from "./pack-meter.ts";
import type { Turns } from "./turns.ts";

export interface ServeFetchParts {
  readonly engine: Pick<GitEngine, "uploadPack">;
  readonly repositories: OpenRepositories;
  readonly admittance: Admittance;
  /** Bounds how many upload-pack processes run at once. */
  readonly turns: Turns;
  /** Told of each finished read, for the metrics. */
  readonly onRead: (bytesSent: bigint, complete: boolean) => void;
}

/** A fetch as its client asked for it, parsed and written anew in normal form. */
export interface FetchQuery {
  readonly request: Uint8Array;
  /** The Git-Protocol header, checked; empty for version 0. */
  readonly protocol: string;
  /** True when the client says that it has nothing. */
  readonly isClone: boolean;
  /** True when it wants the whole history, neither cut off nor filtered. */
  readonly isWhole: boolean;
  /** Applied to git's response before it is sent. */
  readonly transform?: (response: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
}

/** Serves clones and fetches: refs from memory, packs from git, each read admitted before and metered while it streams. */
export class FetchServer {
  readonly #parts: ServeFetchParts;

  constructor(parts: ServeFetchParts) {
    this.#parts = parts;
  }

  /**
   * The repository's state for who may read it; quota and credit for a whole clone's first byte are looked at but not
   * set aside, as this is where git shows a refusal's text.
   */
  async open(identity: Identity, path: RepoPath): Promise<OpenRepository> {
    const open = await this.#find(identity, path);
    await this.#parts.admittance.checkRead(identity, open.repository, {
      bytes: await open.packBytes(),
      whole: false,
      operation: "fetch",
    });
    return open;
  }

  /** Law: what was sent is charged, also when the client leaves early; a response without objects costs nothing. */
  async *fetch(
    identity: Identity,
    path: RepoPath,
    query: FetchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const open = await this.#find(identity, path);
    const admission = await this.#parts.admittance.admitRead(identity, open.repository, {
      bytes: await open.packBytes(),
      whole: query.isClone && query.isWhole,
      operation: query.isClone ? "clone" : "fetch",
    });
    const meter = new PackMeter(admission.bytesMax);
    let complete = false;
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(readSecondsMax * 1000)]);
      yield* this.#stream(open, query, meter, limited);
      complete = !meter.isCut;
    } finally {
      await this.#settle(admission, meter, complete);
    }
  }

  async *#stream(
    open: OpenRepository,
    query: FetchQuery,
    meter: PackMeter,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    using _turn = await this.#parts.turns.take(signal);
    const view = await open.view(signal);
    const raw = this.#parts.engine.uploadPack(view, only(query.request), {
      signal,
      protocol: query.protocol,
    });
    for await (const chunk of query.transform?.(raw) ?? raw) {
      const passed = meter.pass(chunk);
      if (passed.length > 0) yield passed;
      meter.confirm();
      if (meter.isCut) {
        yield* breakOff(meter);
        return;
      }
    }
  }

  async #settle(admission: Admission, meter: PackMeter, complete: boolean): Promise<void> {
    if (!meter.hasObjects) {
      await admission.drop();
      return;
    }
    const bytesSent = meter.packBytes;
    await admission.finish({ bytesSent, complete, contentSha256: meter.digestHex() });
    this.#parts.onRead(bytesSent, complete);
  }

  async #find(identity: Identity, path: RepoPath): Promise<OpenRepository> {
    const open = await this.#parts.repositories.open(path);
    if (open !== undefined) return open;
    throw identity.kind === "anonymous" ? signIn(formatRepoPath(path)) : hidden();
  }
}

/** Says on the error band why the pack ends here. Without side-band no text can follow, and the pack just ends. */
function* breakOff(meter: PackMeter): Generator<Uint8Array> {
  if (meter.isRaw) return;
  const refusal = new GitdError("quota-exhausted", "the bond's quota or credit for this read is used up", {
    fix: "see what is left with: gitd bond status",
  });
  yield encodeBand(3, Buffer.from(`${explain(refusal)}\n`));
  yield encodeFlush();
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
