import { type IncomingMessage, type ServerResponse, request as sendRequest } from "node:http";
import { pipeline } from "node:stream/promises";
import { GitdError } from "../domain/errors.ts";

export interface ForwardParts {
  /** The node process' unix socket. */
  readonly socketPath: string;
  /** How long the node process may stay silent. */
  readonly idleMs: number;
}

/** Headers about one connection only (RFC 9110, section 7.6.1), and credentials, which the node process has no use for. */
const droppedHeaders = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "authorization",
  "cookie",
]);

/** Hands a request to the node process and its answer back. Throws `unavailable` if nobody answers there. */
export async function forward(
  parts: ForwardParts,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const outgoing = sendRequest({
    socketPath: parts.socketPath,
    method: request.method,
    path: request.url,
    headers: passedOn(request.headers),
    timeout: parts.idleMs,
    signal,
  });
  outgoing.once("timeout", () => outgoing.destroy(new Error(`no answer within ${parts.idleMs} ms`)));
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.once("error", reject);
  });
  let answer: IncomingMessage;
  try {
    [answer] = await Promise.all([answered, pipeline(request, outgoing, { signal })]);
  } catch (cause) {
    throw new GitdError("unavailable", "the process that holds the IPFS node and the chain does not answer", {
      fix: "it is started again by itself within seconds; try again then",
      retryAfterSeconds: 5,
      cause,
    });
  }
  response.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
  await pipeline(answer, response, { signal });
}

function passedOn(headers: IncomingMessage["headers"]): IncomingMessage["headers"] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !droppedHeaders.has(name)));
}
