import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { checkBlock } from "./block-check.ts";
import { type FileNode, fileNodeOf } from "./dag-links.ts";
import type { AbortOptions, BlockSource, ByteRange } from "./port.ts";

/** Levels of nodes in a file: four of 1024 links are a petabyte. */
const depthMax = 16;
const windowMax = 64;

export interface ReadDagOptions extends AbortOptions {
  readonly range?: ByteRange;
  /** Blocks asked for at once (default 4, at most 64); each may hold 2 MiB. */
  readonly window?: number;
}

interface Span {
  readonly startBytes: number;
  readonly lengthBytes: number;
  /** Known already, or to be read from the block `cid`. */
  readonly content: Uint8Array | Cid;
}

/** The size that the root of a file states; reads one block. Throws `content-mismatch` if it is no UnixFS file. */
export async function dagFileSize(source: BlockSource, cid: Cid, options: AbortOptions): Promise<bigint> {
  return BigInt((await readNode(source, cid, options.signal)).fileBytes);
}

/**
 * Streams a UnixFS file by its blocks, each checked against its Cid, whoever the source is and however the file was cut.
 * Throws `not-found` where the source lacks a block and `content-mismatch` where blocks do not fit together.
 */
export async function* readDag(
  source: BlockSource,
  cid: Cid,
  options: ReadDagOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { bytes } of readDagPieces(source, cid, options)) yield bytes;
}

/** A run of a file's bytes. */
export interface Piece {
  /** The leaf that it is, or lies in; undefined for bytes that a tree node holds itself. */
  readonly leaf: Cid | undefined;
  readonly bytes: Uint8Array;
}

/** {@link readDag}, saying which leaf each run of bytes comes from. */
export async function* readDagPieces(
  source: BlockSource,
  cid: Cid,
  options: ReadDagOptions,
): AsyncGenerator<Piece, void, undefined> {
  const gone = new AbortController();
  const signal = AbortSignal.any([options.signal, gone.signal]);
  const root = await readNode(source, cid, signal);
  const range = clip(options.range, root.fileBytes);
  const window = Math.min(options.window ?? 4, windowMax);
  const ahead: Promise<Piece>[] = [];
  try {
    for await (const span of spans(source, root, 0, range, signal, 0)) {
      const piece = pieceOf(source, span, range, signal);
      // NOTE: a failure is met when its turn comes; until then it must not count as unhandled.
      piece.catch(() => undefined);
      ahead.push(piece);
      if (ahead.length >= window) yield* shift(ahead);
    }
    while (ahead.length > 0) yield* shift(ahead);
  } finally {
    gone.abort();
  }
}

async function* shift(ahead: Promise<Piece>[]): AsyncGenerator<Piece, void, undefined> {
  const piece = await ahead.shift();
  if (piece !== undefined && piece.bytes.length > 0) yield piece;
}

async function* spans(
  source: BlockSource,
  node: FileNode,
  startBytes: number,
  range: { readonly start: number; readonly end: number },
  signal: AbortSignal,
  depth: number,
): AsyncGenerator<Span, void, undefined> {
  if (depth > depthMax) throw new GitdError("content-mismatch", `a file's tree is deeper than ${depthMax}`);
  if (node.data.length > 0) yield { startBytes, lengthBytes: node.data.length, content: node.data };
  let at = startBytes + node.data.length;
  for (const { cid, fileBytes } of node.children) {
    const start = at;
    at += fileBytes;
    if (at <= range.start || start >= range.end) continue;
    if (isRaw(cid)) {
      yield { startBytes: start, lengthBytes: fileBytes, content: cid };
      continue;
    }
    const child = await readNode(source, cid, signal);
    if (child.fileBytes !== fileBytes) throw unfit(cid, fileBytes, child.fileBytes);
    yield* spans(source, child, start, range, signal, depth + 1);
  }
}

async function pieceOf(
  source: BlockSource,
  { startBytes, lengthBytes, content }: Span,
  range: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): Promise<Piece> {
  const leaf = typeof content === "string" ? content : undefined;
  const bytes = typeof content === "string" ? await readChecked(source, content, signal) : content;
  if (leaf !== undefined && bytes.length !== lengthBytes) throw unfit(leaf, lengthBytes, bytes.length);
  const wanted = bytes.subarray(Math.max(0, range.start - startBytes), Math.max(0, range.end - startBytes));
  return { leaf, bytes: wanted };
}

async function readNode(source: BlockSource, cid: Cid, signal: AbortSignal): Promise<FileNode> {
  return fileNodeOf(cid, await readChecked(source, cid, signal));
}

async function readChecked(source: BlockSource, cid: Cid, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted();
  const bytes = await source.getBlock(cid, { signal });
  checkBlock(cid, bytes);
  return bytes;
}

/** CIDv1 of raw codec and sha2-256 in base32 always begins so. */
export function isRaw(cid: Cid): boolean {
  return cid.startsWith("bafkrei");
}

function clip(
  range: ByteRange | undefined,
  sizeBytes: number,
): { readonly start: number; readonly end: number } {
  const { start, end } = range ?? { start: 0n, end: BigInt(sizeBytes) };
  if (start < 0n || end < start || end > BigInt(sizeBytes)) {
    throw new GitdError("invalid", `bytes ${start} to ${end} do not lie within the file's ${sizeBytes}`);
  }
  return { start: Number(start), end: Number(end) };
}

function unfit(cid: Cid, claimed: number, found: number): GitdError {
  return new GitdError(
    "content-mismatch",
    `${cid} holds ${found} bytes of a file where its parent states ${claimed}`,
  );
}
