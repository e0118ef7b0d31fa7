import { createHash } from "node:crypto";
import type { GitHome } from "./git.ts";

/** The pack that a push of `tip` would send, made by git. */
export async function packOf(
  home: GitHome,
  repository: string,
  tip: string,
  without: readonly string[] = [],
): Promise<Buffer> {
  const wanted = [tip, ...without.map((oid) => `^${oid}`), ""].join("\n");
  const args = ["pack-objects", "--revs", "--stdout", "--quiet"];
  return (await home.git(args, { cwd: repository, input: wanted })).bytes;
}

/** A pack of exactly these objects, whatever they refer to. */
export async function packOfObjects(
  home: GitHome,
  repository: string,
  oids: readonly string[],
): Promise<Buffer> {
  const args = ["pack-objects", "--stdout", "--quiet"];
  return (await home.git(args, { cwd: repository, input: oids.map((oid) => `${oid}\n`).join("") })).bytes;
}

/** The same pack with a byte of its middle changed, under its old checksum. */
export function corrupted(pack: Buffer): Buffer {
  const copy = Buffer.from(pack);
  const at = Math.floor(pack.length / 2);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

/** The same objects under a header that counts `objects`, with a checksum that fits. */
export function counted(pack: Buffer, objects: number): Buffer {
  const copy = Buffer.from(pack);
  copy.writeUInt32BE(objects, 8);
  return sealed(copy.subarray(0, -20));
}

/** Objects in the pack, as its header says. */
export function countOf(pack: Buffer): number {
  return pack.readUInt32BE(8);
}

/** A pack's bytes with the checksum that belongs at their end. */
export function sealed(body: Buffer): Buffer {
  return Buffer.concat([body, createHash("sha1").update(body).digest()]);
}
