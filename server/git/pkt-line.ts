import { GitdError } from "../domain/errors.ts";

/** Largest pkt-line, its four length digits included (`LARGE_PACKET_MAX` in git's pkt-line.h). */
export const packetBytesMax = 65_520;

const lengthBytes = 4;
const flush = Buffer.from("0000");
const delimiter = Buffer.from("0001");

/** What a pkt-line stream consists of (gitprotocol-common(5), gitprotocol-v2(5)). */
export type Packet =
  | { readonly kind: "line"; readonly bytes: Buffer }
  | { readonly kind: "flush" }
  | { readonly kind: "delimiter" }
  | { readonly kind: "response-end" };

export function encodePacket(payload: string | Uint8Array): Buffer {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : Buffer.from(payload);
  const length = bytes.length + lengthBytes;
  if (length > packetBytesMax) throw new RangeError(`a packet of ${length} bytes is too long`);
  return Buffer.concat([Buffer.from(length.toString(16).padStart(lengthBytes, "0")), bytes]);
}

export function encodeFlush(): Buffer {
  return flush;
}

export function encodeDelimiter(): Buffer {
  return delimiter;
}

/** One side-band packet: band 1 carries the pack or report, 2 words for the user, 3 a fatal error. */
export function encodeBand(band: 1 | 2 | 3, bytes: Uint8Array): Buffer {
  return encodePacket(Buffer.concat([Buffer.from([band]), bytes]));
}

/** The error packet that every Git client prints as `fatal: remote error: …`. */
export function encodeErr(text: string): Buffer {
  return encodePacket(`ERR ${text}`);
}

/** A line's text without its newline. */
export function lineText(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

/** Reads pkt-lines off a byte stream; what follows the last one read can be taken as it is. */
export class PacketReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffer: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next packet, or undefined at the end of the stream. Throws `invalid` for garbage and for a packet cut short. */
  async next(): Promise<Packet | undefined> {
    await this.#fill(lengthBytes);
    if (this.#buffer.length === 0) return undefined;
    if (this.#buffer.length < lengthBytes) throw cutShort();
    const digits = this.#buffer.toString("latin1", 0, lengthBytes);
    const length = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
    if (length < lengthBytes) {
      this.#buffer = this.#buffer.subarray(lengthBytes);
      if (length === 0) return { kind: "flush" };
      if (length === 1) return { kind: "delimiter" };
      if (length === 2) return { kind: "response-end" };
      throw garbage(digits);
    }
    if (!(length <= packetBytesMax)) throw garbage(digits);
    await this.#fill(length);
    if (this.#buffer.length < length) throw cutShort();
    const bytes = this.#buffer.subarray(lengthBytes, length);
    this.#buffer = this.#buffer.subarray(length);
    return { kind: "line", bytes };
  }

  /** Everything after the packets read so far. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#buffer.length > 0) yield this.#buffer;
    this.#buffer = Buffer.alloc(0);
    while (!this.#ended) {
      const { done, value } = await this.#source.next();
      if (done === true) this.#ended = true;
      else yield value;
    }
  }

  async #fill(bytes: number): Promise<void> {
    while (this.#buffer.length < bytes && !this.#ended) {
      const { done, value } = await this.#source.next();
      if (done === true) this.#ended = true;
      else
        this.#buffer = this.#buffer.length === 0 ? Buffer.from(value) : Buffer.concat([this.#buffer, value]);
    }
  }
}

function garbage(digits: string): GitdError {
  return new GitdError("invalid", `not a pkt-line: its length reads ${JSON.stringify(digits)}`, {
    fix: "the request does not speak the Git protocol; a proxy may have changed it",
  });
}

function cutShort(): GitdError {
  return new GitdError("invalid", "the request ends in the middle of a pkt-line", { fix: "send it again" });
}
