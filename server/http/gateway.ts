import type { IncomingMessage, ServerResponse } from "node:http";
import { CID } from "multiformats/cid";
import { GitdError } from "../domain/errors.ts";
import { type Cid, parseCid } from "../domain/ids.ts";
import type { ContentFormat, ContentReader } from "../flows/read-content.ts";
import { type Verifier, identify } from "./identify.ts";
import { sendStream } from "./send.ts";

export interface GatewayParts {
  readonly reader: ContentReader;
  readonly verifier: Verifier;
}

const pathPattern = /^\/ipfs\/([^/?#]+)\/?$/;
const typeOf: Readonly<Record<ContentFormat, string>> = {
  raw: "application/vnd.ipld.raw",
  car: "application/vnd.ipld.car; version=1; order=dfs; dups=n",
  file: "application/octet-stream",
};

/** Whether a request is the gateway's to answer. */
export function isGatewayPath(path: string): boolean {
  return path.startsWith("/ipfs/");
}

/**
 * `GET` and `HEAD /ipfs/<cid>` in the manner of the Trustless Gateway specification: `?format=raw|car` or the same by
 * `Accept`; without either, the file that the Cid is the root of.
 */
export async function serveGateway(
  parts: GatewayParts,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    throw new GitdError("invalid", `the gateway answers GET and HEAD, not ${request.method}`);
  }
  const url = new URL(request.url ?? "/", "http://gateway");
  const cid = cidOf(url.pathname);
  const format = formatOf(url.searchParams.get("format"), request.headers.accept ?? "");
  const identity = await identify(request.headers, parts.verifier);
  const content = await parts.reader.open(identity, cid, format, signal);
  const etag = `"${cid}.${format}"`;
  response.setHeader("etag", etag);
  response.setHeader("vary", "accept, authorization");
  response.setHeader("cache-control", "private, max-age=29030400, immutable");
  response.setHeader("x-content-type-options", "nosniff");
  if (matches(request.headers["if-none-match"], etag)) {
    response.writeHead(304).end();
    return;
  }
  response.setHeader("content-type", typeOf[format]);
  response.setHeader("content-disposition", `attachment; filename="${cid}.${extensionOf[format]}"`);
  if (content.sizeBytes !== undefined) response.setHeader("content-length", String(content.sizeBytes));
  if (request.method === "HEAD") {
    response.writeHead(200).end();
    return;
  }
  await sendStream(response, content.bytes(signal), signal);
}

const extensionOf: Readonly<Record<ContentFormat, string>> = { raw: "bin", car: "car", file: "bin" };

function cidOf(path: string): Cid {
  const text = pathPattern.exec(path)?.[1];
  if (text === undefined) {
    throw new GitdError("not-found", "only whole CIDs are served here, not paths below them", {
      fix: "ask for /ipfs/<cid>?format=raw or ?format=car",
    });
  }
  try {
    return parseCid(CID.parse(text).toV1().toString());
  } catch (cause) {
    throw new GitdError("invalid", `'${text.slice(0, 80)}' is not a CID`, { cause });
  }
}

function formatOf(asked: string | null, accept: string): ContentFormat {
  if (asked === "raw" || asked === "car") return asked;
  if (asked !== null) {
    throw new GitdError("invalid", `format '${asked.slice(0, 40)}' is not served`, {
      fix: "use format=raw or format=car",
    });
  }
  if (accept.includes("application/vnd.ipld.car")) return "car";
  return accept.includes("application/vnd.ipld.raw") ? "raw" : "file";
}

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").some((entry) => [etag, `W/${etag}`, "*"].includes(entry.trim()));
}
