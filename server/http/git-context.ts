import type { IncomingMessage, ServerResponse } from "node:http";
import type { RepoPath } from "../domain/ids.ts";
import type { Identity } from "../flows/identity.ts";
import type { PushReceiver } from "../flows/receive-push.ts";
import type { FetchServer } from "../flows/serve-fetch.ts";
import type { Verifier } from "./identify.ts";

export interface GitDoorParts {
  readonly fetches: FetchServer;
  readonly pushes: PushReceiver;
  readonly verifier: Verifier;
  readonly packBytesMax: bigint;
  /** What the server calls itself to clients, such as `gitd/0.1.0`. */
  readonly agent: string;
  /** Unique to this process. */
  readonly sessionId: string;
  readonly onPush: (outcome: "recorded" | "refused" | "nothing") => void;
  /** Told of failures on the server's side that a client was answered in-band. */
  readonly onError: (error: unknown) => void;
}

/** One request of a known sender to a well-formed path. */
export interface GitContext {
  readonly parts: GitDoorParts;
  readonly identity: Identity;
  readonly path: RepoPath;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
}

const protocolPattern = /^[0-9a-z]+(?:=[0-9a-z]+)?(?::[0-9a-z]+(?:=[0-9a-z]+)?)*$/;
const protocolCharactersMax = 256;

/** The Git-Protocol header if it is well formed, else empty, which means version 0. */
export function protocolOf(request: IncomingMessage): string {
  const header = request.headers["git-protocol"];
  const text = typeof header === "string" ? header : "";
  return text.length <= protocolCharactersMax && protocolPattern.test(text) ? text : "";
}

/** The newest version that a Git-Protocol header names and this server speaks. */
export function protocolVersion(protocol: string): 0 | 1 | 2 {
  const versions = protocol.split(":").map((entry) => /^version=([12])$/.exec(entry)?.[1]);
  if (versions.includes("2")) return 2;
  return versions.includes("1") ? 1 : 0;
}
