import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { AbortOptions, BlockSource } from "../server/content/port.ts";
import type { PushLeaf } from "../server/domain/chain-hash.ts";
import { cidOfDigest } from "../server/domain/dag-block.ts";
import { GitdError } from "../server/domain/errors.ts";
import { type Cid, type ObjectFormat, type RepoId } from "../server/domain/ids.ts";
import { type Manifest, packCodec, parseManifest, refCodec } from "../server/domain/manifest.ts";
import { readSortedMap } from "../server/domain/sorted-map.ts";

/** What a restore works with; named in the CLI's composition root. */
export interface RestoreTools {
  readonly openSource: (
    options: Pick<RestorePlan, "peers" | "gateways"> & AbortOptions & { readonly directory: string },
  ) => Promise<PeerSource>;
  /** Writes a file to `path`, each block checked; returns its size. */
  readonly fetchFile: (
    source: BlockSource,
    cid: Cid,
    options: AbortOptions & { readonly path: string },
  ) => Promise<bigint>;
  readonly openGit: (folder: string, signal: AbortSignal) => Promise<PackKeeper>;
}

type PeerSource = BlockSource & AsyncDisposable;

interface PackKeeper {
  /** Takes packs into a bare repository and checks every object in it. */
  bareFromPacks(gitDir: string, packs: readonly string[], options: AbortOptions): Promise<void>;
}

export interface RestorePlan {
  readonly repo: RepoId;
  /** The last Push as the chain has it. */
  readonly push: PushLeaf;
  readonly into: string;
  readonly peers: readonly string[];
  readonly gateways: readonly { readonly url: string; readonly authorization?: string }[];
  readonly onStep: (text: string) => void;
}

export interface Restored {
  readonly path: string;
  readonly manifest: Cid;
  readonly seq: bigint;
  readonly refs: number;
  readonly packs: number;
  readonly bytes: bigint;
}

/**
 * Rebuilds a repository from the Manifest that the chain names and the blocks that peers give, each checked against its
 * Cid. Works aside and renames into place, so that a failure leaves nothing under the final name.
 */
export async function restore(
  tools: RestoreTools,
  plan: RestorePlan,
  signal: AbortSignal,
): Promise<Restored> {
  const into = resolve(plan.into);
  await mkdir(dirname(into), { recursive: true });
  const aside = await mkdtemp(join(dirname(into), `.${basename(into)}-`));
  try {
    const { peers, gateways } = plan;
    await using source = await tools.openSource({ peers, gateways, directory: join(aside, "ipfs"), signal });
    const restored = await rebuild(tools, plan, source, aside, signal);
    await moveIntoPlace(join(aside, "repository"), into);
    return { ...restored, path: into };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function rebuild(
  tools: RestoreTools,
  { repo, push, onStep }: RestorePlan,
  source: PeerSource,
  aside: string,
  signal: AbortSignal,
): Promise<Omit<Restored, "path">> {
  const load = (cid: Cid): Promise<Uint8Array> => source.getBlock(cid, { signal });
  const manifestCid = cidOfDigest(push.manifest);
  onStep(`manifest ${manifestCid}, push ${push.seq}`);
  const manifest = parseManifest(await load(manifestCid));
  if (manifest.repo !== repo || manifest.seq !== push.seq) {
    throw new GitdError("content-mismatch", "the manifest on chain is of another repository or push");
  }
  await mkdir(join(aside, "packs"));
  const packs: string[] = [];
  let bytes = 0n;
  for await (const [checksum, pack] of readSortedMap(manifest.packs, packCodec, load)) {
    const path = join(aside, "packs", `pack-${checksum}.pack`);
    onStep(`pack ${pack.cid}, ${pack.sizeBytes} bytes`);
    bytes += await tools.fetchFile(source, pack.cid, { path, signal });
    packs.push(path);
  }
  const refs = await refLines(manifest, load);
  const git = await tools.openGit(join(aside, "git"), signal);
  const gitDir = join(aside, "repository");
  onStep(`indexing ${packs.length} packs and checking every object`);
  await writeBare(gitDir, manifest.objectFormat, manifest.head, refs.text);
  await git.bareFromPacks(gitDir, packs, { signal });
  return { manifest: manifestCid, seq: push.seq, refs: refs.count, packs: packs.length, bytes };
}

async function refLines(
  manifest: Manifest,
  load: (cid: Cid) => Promise<Uint8Array>,
): Promise<{ text: string; count: number }> {
  const lines = ["# pack-refs with: peeled fully-peeled sorted"];
  let count = 0;
  for await (const [name, { oid, peeled }] of readSortedMap(
    manifest.refs,
    refCodec(manifest.objectFormat),
    load,
  )) {
    lines.push(`${oid} ${name}`);
    if (peeled !== undefined) lines.push(`^${peeled}`);
    count += 1;
  }
  return { text: `${lines.join("\n")}\n`, count };
}

async function writeBare(
  gitDir: string,
  format: ObjectFormat,
  head: string,
  packedRefs: string,
): Promise<void> {
  await mkdir(join(gitDir, "objects", "pack"), { recursive: true });
  await mkdir(join(gitDir, "objects", "info"));
  await mkdir(join(gitDir, "refs", "heads"), { recursive: true });
  await mkdir(join(gitDir, "refs", "tags"));
  const extension = format === "sha256" ? "[extensions]\n\tobjectFormat = sha256\n" : "";
  const version = format === "sha256" ? 1 : 0;
  await writeFile(
    join(gitDir, "config"),
    `[core]\n\trepositoryFormatVersion = ${version}\n\tbare = true\n${extension}`,
  );
  await writeFile(join(gitDir, "packed-refs"), packedRefs);
  await writeFile(join(gitDir, "HEAD"), `ref: ${head}\n`);
}

async function moveIntoPlace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    throw new GitdError("conflict", `${to} is not an empty folder`, {
      fix: "name one that does not exist yet",
      cause,
    });
  }
}
