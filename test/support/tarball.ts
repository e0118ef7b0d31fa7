import { gunzipSync } from "node:zlib";

export interface TarFile {
  /** Below the archive's one root folder. */
  readonly path: string;
  readonly content: Buffer;
  readonly executable: boolean;
  readonly modifiedSeconds: number;
}

const blockBytes = 512;
const unpackedBytesMax = 64 * 1024 * 1024;

/**
 * The regular files of a gzipped tar archive in its order: ustar, with long names from pax or GNU headers. Links and
 * devices are left out, and so is a path that Git would refuse.
 * See https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
export function readTarball(archive: Uint8Array): TarFile[] {
  const tar = gunzipSync(archive, { maxOutputLength: unpackedBytesMax });
  const files: TarFile[] = [];
  let longName: string | undefined;
  for (let at = 0; at + blockBytes <= tar.length && tar[at] !== 0;) {
    const header = tar.subarray(at, at + blockBytes);
    const size = octal(header, 124, 12);
    const content = tar.subarray(at + blockBytes, at + blockBytes + size);
    at += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === "x" || type === "L") {
      longName = type === "L" ? text(content, 0, size) : (paxPath(content) ?? longName);
      continue;
    }
    const path = inRoot(longName ?? headerName(header));
    longName = undefined;
    if ((type === "0" || type === "\0") && isSafe(path)) {
      const executable = (octal(header, 100, 8) & 0o100) !== 0;
      files.push({ path, content, executable, modifiedSeconds: octal(header, 136, 12) });
    }
  }
  return files;
}

function headerName(header: Buffer): string {
  const prefix = text(header, 257, 5) === "ustar" ? text(header, 345, 155) : "";
  const name = text(header, 0, 100);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function paxPath(content: Buffer): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(content.toString())?.[1];
}

function inRoot(name: string): string {
  return name.replace(/^\.?\/*[^/]*\//, "");
}

function isSafe(path: string): boolean {
  return (
    path !== "" &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/^\.git/i.test(part))
  );
}

function octal(header: Buffer, at: number, length: number): number {
  const digits = text(header, at, length).trim();
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function text(bytes: Buffer, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.subarray(0, end === -1 ? length : end).toString();
}
