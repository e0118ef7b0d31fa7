import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable, Transform } from "node:stream";
import { createGunzip, createInflate } from "node:zlib";
import { GitdError } from "../domain/errors.ts";

export interface BodyLimits {
  /** Bytes after decompression: what bounds a gzip bomb. */
  readonly inflatedBytesMax: bigint;
}

const inflateChunkBytes = 64 * 1024;

/**
 * A request's body as it streams in, decompressed. Sends `100 Continue` first if the client waits for it. Throws
 * `too-large` past the limit, `invalid` for a broken or unknown Content-Encoding, and `cancelled` when the client leaves.
 */
export async function* requestBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (/100-continue/i.test(request.headers.expect ?? "")) response.writeContinue();
  const encoding = request.headers["content-encoding"] ?? "identity";
  const source = decoded(request, encoding);
  let bytes = 0n;
  try {
    // NOTE: leaving early must not destroy the socket, as the refusal still has to be written to it.
    for await (const chunk of source.iterator({ destroyOnReturn: false })) {
      bytes += BigInt((chunk as Buffer).length);
      if (bytes > limits.inflatedBytesMax) throw tooLarge(limits.inflatedBytesMax);
      yield chunk as Buffer;
    }
  } catch (error) {
    throw bodyError(error);
  } finally {
    if (source !== request) {
      request.unpipe();
      source.destroy();
    }
  }
}

/**
 * Lets go of a body that is not needed to its end. What the client still sends is read and forgotten, as it comes to
 * read the answer only once it has sent everything.
 */
export function forgetRest(request: IncomingMessage, body: AsyncGenerator<Uint8Array, void>): void {
  const flow = (): void => {
    request.unpipe();
    request.resume();
  };
  // NOTE: an unfinished iterator keeps the stream from flowing, and a pending read of it may take as long as the client.
  body.return().then(flow, flow);
}

function decoded(request: IncomingMessage, encoding: string): Readable {
  switch (encoding.toLowerCase()) {
    case "identity":
      return request;
    case "gzip":
    case "x-gzip":
      return through(request, createGunzip({ chunkSize: inflateChunkBytes }));
    case "deflate":
      return through(request, createInflate({ chunkSize: inflateChunkBytes }));
    default:
      throw new GitdError("invalid", `Content-Encoding '${encoding.slice(0, 40)}' is not understood`, {
        fix: "send the body as it is, or gzip",
      });
  }
}

/** A plain pipe, since stream.pipeline() would destroy the socket when decompression fails. */
function through(request: IncomingMessage, inflate: Transform): Readable {
  request.once("error", (error) => inflate.destroy(error));
  return request.pipe(inflate);
}

function bodyError(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code.startsWith("Z_")) {
    return new GitdError("invalid", "the request body is not what its Content-Encoding says", {
      cause: error,
    });
  }
  if (code === "ECONNRESET" || code === "ERR_STREAM_PREMATURE_CLOSE") {
    return new GitdError("cancelled", "the client left before its request was complete", { cause: error });
  }
  return error;
}

function tooLarge(limit: bigint): GitdError {
  return new GitdError("too-large", `the request is larger than the ${limit} bytes allowed`, {
    fix: "send less at once: push in several turns, or ask the operator to raise GITD_PACK_BYTES_MAX",
  });
}
