import { createHash } from "node:crypto";
import { GitdError } from "../domain/errors.ts";

const lengthBytes = 4;
const bandPack = 1;
/** Largest pkt-line (`LARGE_PACKET_MAX` in git's pkt-line.h), its length included. */
const packetBytesMax = 65_520;
const packMagic = Buffer.from("PACK");
const emptyPackObjectsAt = 8;
const packHeaderBytes = 12;

/**
 * Finds the pack in upload-pack's response as it streams by: band-1 packets, or, for clients without side-band, all
 * from the word PACK on. Counts and hashes the pack's bytes, and can cut the stream between two packets.
 */
export class PackMeter {
  readonly #hash = createHash("sha256");
  readonly #bytesMax: bigint | undefined;
  #header: Buffer = Buffer.alloc(0);
  /** Begin of a packet whose rest has not come yet. */
  #partial: Buffer = Buffer.alloc(0);
  /** Pack bytes that were let through but are not yet known to be sent. */
  #passed: Buffer[] = [];
  #passedBytes = 0n;
  #isRaw = false;
  #packBytes = 0n;
  #isCut = false;

  constructor(bytesMax: bigint | undefined) {
    this.#bytesMax = bytesMax;
  }

  /** Pack bytes sent, as told by {@link confirm}. */
  get packBytes(): bigint {
    return this.#packBytes;
  }

  /** True once the limit was met: the packet that would have gone past it and all after it are withheld. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** True when the pack comes without side-band, so that no text can follow it. */
  get isRaw(): boolean {
    return this.#isRaw;
  }

  /** False for no pack at all, and for one that says it has no object. */
  get hasObjects(): boolean {
    return this.#header.length === packHeaderBytes && this.#header.readUInt32BE(emptyPackObjectsAt) > 0;
  }

  digestHex(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Everything that {@link pass} let through so far has been sent. */
  confirm(): void {
    for (const data of this.#passed) {
      this.#hash.update(data);
      if (this.#header.length < packHeaderBytes) {
        this.#header = Buffer.concat([this.#header, data.subarray(0, packHeaderBytes - this.#header.length)]);
      }
    }
    this.#packBytes += this.#passedBytes;
    this.#passed = [];
    this.#passedBytes = 0n;
  }

  /** Takes a chunk of the response; gives back whole packets only, possibly none. */
  pass(chunk: Uint8Array): Uint8Array {
    if (this.#isCut) return new Uint8Array(0);
    const bytes =
      this.#partial.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat([this.#partial, chunk]);
    this.#partial = Buffer.alloc(0);
    if (this.#isRaw) return this.#passRaw(bytes);
    let at = 0;
    while (at + lengthBytes <= bytes.length) {
      const word = bytes.subarray(at, at + lengthBytes);
      if (word.equals(packMagic)) {
        this.#isRaw = true;
        const raw = this.#passRaw(bytes.subarray(at));
        return bytes.subarray(0, at + raw.length);
      }
      const length = packetLength(word);
      if (at + length > bytes.length) break;
      if (length > lengthBytes && bytes[at + lengthBytes] === bandPack) {
        const data = bytes.subarray(at + lengthBytes + 1, at + length);
        if (this.#exceeds(data.length)) return bytes.subarray(0, at);
        this.#count(data);
      }
      at += length;
    }
    this.#partial = Buffer.from(bytes.subarray(at));
    return bytes.subarray(0, at);
  }

  #passRaw(bytes: Buffer): Uint8Array {
    if (this.#exceeds(bytes.length)) return new Uint8Array(0);
    this.#count(bytes);
    return bytes;
  }

  #exceeds(more: number): boolean {
    this.#isCut =
      this.#bytesMax !== undefined && this.#packBytes + this.#passedBytes + BigInt(more) > this.#bytesMax;
    return this.#isCut;
  }

  #count(data: Buffer): void {
    this.#passed.push(data);
    this.#passedBytes += BigInt(data.length);
  }
}

/** Bytes that the packet takes, its length word included; the special packets 0000, 0001 and 0002 take four. */
function packetLength(word: Buffer): number {
  const text = word.toString("latin1");
  const length = /^[0-9a-f]{4}$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN;
  if (length <= 2) return lengthBytes;
  if (length >= lengthBytes && length <= packetBytesMax) return length;
  throw new GitdError("internal", "git upload-pack answered with a malformed packet");
}
