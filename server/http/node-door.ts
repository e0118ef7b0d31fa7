import { chmod, rm } from "node:fs/promises";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { GitdError } from "../domain/errors.ts";
import { refuse } from "./respond.ts";

/** What only the node process can do, each as a function: it gets the parsed JSON body or query and gives JSON back. */
export type NodeAction = (
  input: Readonly<Record<string, unknown>>,
  options: { readonly signal: AbortSignal },
) => Promise<unknown>;

export interface NodeDoorParts {
  readonly socketPath: string;
  /** By `<METHOD> <path>`, such as `POST /api/faucet`. */
  readonly actions: Readonly<Record<string, NodeAction>>;
  readonly onError: (error: unknown, route: string) => void;
}

export interface NodeDoor extends AsyncDisposable {
  readonly socketPath: string;
}

const bodyBytesMax = 64 * 1024;

/** Listens on the unix socket, which only this user may open. Disposing breaks running requests off. */
export async function openNodeDoor(parts: NodeDoorParts): Promise<NodeDoor> {
  const stopped = new AbortController();
  const server = createServer((request, response) => void serve(parts, request, response, stopped.signal));
  // NOTE: a socket file left by a process that was killed would make listen() fail.
  await rm(parts.socketPath, { force: true });
  await listen(server, parts.socketPath);
  await chmod(parts.socketPath, 0o600);
  return {
    socketPath: parts.socketPath,
    [Symbol.asyncDispose]: async () => {
      stopped.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve());
  });
}

async function serve(
  parts: NodeDoorParts,
  request: IncomingMessage,
  response: ServerResponse,
  stopped: AbortSignal,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://node");
  const route = `${request.method} ${url.pathname}`;
  const left = new AbortController();
  response.once("close", () => left.abort());
  try {
    const action = parts.actions[route];
    if (action === undefined) throw new GitdError("not-found", `there is nothing at ${route}`);
    const input = request.method === "GET" ? Object.fromEntries(url.searchParams) : await readJson(request);
    const output = await action(input, { signal: AbortSignal.any([left.signal, stopped]) });
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(
      JSON.stringify(output, (_key, value) => (typeof value === "bigint" ? String(value) : value)),
    );
  } catch (error) {
    parts.onError(error, route);
    refuse(response, error, "api");
  }
}

async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax)
      throw new GitdError("too-large", `the body is larger than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  try {
    const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}");
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      return parsed as Readonly<Record<string, unknown>>;
    }
  } catch (cause) {
    throw new GitdError("invalid", "the body is not JSON", { cause });
  }
  throw new GitdError("invalid", "the body is not a JSON object");
}
