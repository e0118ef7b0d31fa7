import type { IncomingMessage, ServerResponse } from "node:http";
import { GitdError } from "../domain/errors.ts";
import { parseRepoPath } from "../domain/ids.ts";
import type { GitDoorParts } from "./git-context.ts";
import { advertiseReceive, serveReceive } from "./git-receive.ts";
import { advertiseUpload, serveUpload } from "./git-upload.ts";
import { identify } from "./identify.ts";
import { type Door, forbidCaching } from "./respond.ts";

/** A request to one of a repository's three smart-HTTP addresses (gitprotocol-http(5)), or to what dumb clients ask for. */
export interface GitRoute {
  readonly door: Door;
  /** The part of the path in front; not yet checked. */
  readonly repository: string;
  readonly action: "advertise-upload" | "advertise-receive" | "upload" | "receive" | "dumb";
}

const targetPattern =
  /^\/([^?#]+)\/(info\/refs|git-upload-pack|git-receive-pack|HEAD|objects\/[^?#]*)(?:\?([^#]*))?$/;

/** Which of Git's addresses a request target is; undefined for none. The path decides, never the query alone. */
export function gitRouteOf(target: string): GitRoute | undefined {
  const match = targetPattern.exec(target);
  if (match === null) return undefined;
  const [, repository, action, query] = match as unknown as [string, string, string, string | undefined];
  if (action === "git-upload-pack") return { door: "git-upload-pack", repository, action: "upload" };
  if (action === "git-receive-pack") return { door: "git-receive-pack", repository, action: "receive" };
  const service = new URLSearchParams(query ?? "").get("service");
  if (action === "info/refs" && service === "git-upload-pack") {
    return { door: "git-advertise", repository, action: "advertise-upload" };
  }
  if (action === "info/refs" && service === "git-receive-pack") {
    return { door: "git-advertise", repository, action: "advertise-receive" };
  }
  return { door: "git-advertise", repository, action: "dumb" };
}

/** Answers one request of a Git client. Throws the refusal; the door's form is given to it by its caller. */
export async function serveGit(
  parts: GitDoorParts,
  route: GitRoute,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  forbidCaching(response);
  if (route.action === "dumb") {
    throw new GitdError("invalid", "this server speaks Git's smart HTTP protocol only", {
      fix: "use git 1.6.6 or newer, and unset GIT_SMART_HTTP",
    });
  }
  const isPost = route.action === "upload" || route.action === "receive";
  const path = parseRepoPath(route.repository);
  if (!(isPost ? ["POST"] : ["GET", "HEAD"]).includes(request.method ?? "")) {
    response.writeHead(405, { allow: isPost ? "POST" : "GET, HEAD", "content-length": "0" }).end();
    request.resume();
    return;
  }
  if (isPost && !hasRequestType(request, route.action)) {
    response.writeHead(415, { "content-length": "0" }).end();
    request.resume();
    return;
  }
  const identity = await identify(request.headers, parts.verifier);
  const context = { parts, identity, path, request, response, signal };
  switch (route.action) {
    case "advertise-upload":
      return advertiseUpload(context);
    case "advertise-receive":
      return advertiseReceive(context);
    case "upload":
      return serveUpload(context);
    case "receive":
      return serveReceive(context);
    default:
      return route.action satisfies never;
  }
}

function hasRequestType(request: IncomingMessage, action: "upload" | "receive"): boolean {
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase();
  return type === `application/x-git-${action}-pack-request`;
}
