import { once } from "node:events";
import type { ServerResponse } from "node:http";

/**
 * Sends chunks as the client takes them: the source is asked for its next chunk only once the one before went to the
 * socket, so what a source counts as sent was sent. The first chunk is awaited before the status line goes out, so that
 * a refusal can still become the answer. Breaks off, and lets the source end itself, when the signal aborts.
 */
export async function sendStream(
  response: ServerResponse,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  for await (const chunk of source) {
    signal.throwIfAborted();
    if (chunk.length > 0 && !response.write(chunk)) await once(response, "drain", { signal });
  }
  signal.throwIfAborted();
  response.end();
}
