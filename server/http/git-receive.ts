import { GitdError, explain } from "../domain/errors.ts";
import { formatRepoPath } from "../domain/ids.ts";
import type { PushReport } from "../flows/receive-push.ts";
import type { RecordedPush } from "../flows/record-push.ts";
import { advertiseReceivePack } from "../git/advertise.ts";
import { type ReceiveRequest, readReceiveRequest } from "../git/receive-request.ts";
import { forgetRest, requestBody } from "./body.ts";
import type { GitContext } from "./git-context.ts";
import { ReportWriter } from "./git-report.ts";
import { asRefusal } from "./respond.ts";

/** Commands, options and certificate may take this much beside the pack. */
const commandBytesMax = 16n * 1024n * 1024n;
const contributorsShownMax = 5;
const resultType = "application/x-git-receive-pack-result";

/** `GET info/refs?service=git-receive-pack`: the refs to push against. */
export async function advertiseReceive({
  parts,
  identity,
  path,
  request,
  response,
}: GitContext): Promise<void> {
  const { repository, refs } = await parts.pushes.target(identity, path);
  const body = advertiseReceivePack({
    refs,
    objectFormat: repository.objectFormat,
    agent: parts.agent,
    sessionId: parts.sessionId,
  });
  response.writeHead(200, {
    "content-type": "application/x-git-receive-pack-advertisement",
    "content-length": String(body.length),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** `POST git-receive-pack`: a Push, answered by a report on each of its refs (gitprotocol-pack(5)). */
export async function serveReceive(context: GitContext): Promise<void> {
  const { parts, identity, path, request, response } = context;
  // NOTE: who has not signed in is told so before the body is sent; any other refusal is shown best in the report.
  if (identity.kind === "anonymous") await parts.pushes.target(identity, path);
  const body = requestBody(request, response, { inflatedBytesMax: parts.packBytesMax + commandBytesMax });
  try {
    await answerPush(context, await readReceiveRequest(body));
  } finally {
    forgetRest(request, body);
  }
}

async function answerPush(context: GitContext, received: ReceiveRequest): Promise<void> {
  const { parts, identity, path, response, signal } = context;
  if (received.updates.length === 0) {
    // NOTE: git asks with a lone flush packet whether it may push, before it sends a large body.
    await parts.pushes.target(identity, path);
    response.writeHead(200, { "content-type": resultType, "content-length": "0" }).end();
    return;
  }
  response.setHeader("content-type", resultType);
  const report = new ReportWriter(response, received.capabilities);
  const outcome = await outcomeOf(context, received, report);
  signal.throwIfAborted();
  parts.onPush(outcome.kind);
  for (const line of outcome.lines) report.tell(line);
  report.end(outcome.unpack, received.updates, outcome.refused);
}

interface ReceiveOutcome {
  readonly kind: "recorded" | "refused" | "nothing";
  readonly unpack: string;
  readonly refused: ReadonlyMap<string, string>;
  /** What git shows after `remote:`. */
  readonly lines: readonly string[];
}

async function outcomeOf(
  { parts, identity, path, signal }: GitContext,
  received: ReceiveRequest,
  report: ReportWriter,
): Promise<ReceiveOutcome> {
  const { updates, capabilities, pushOptions, isShallow } = received;
  const stated = {
    updates,
    objectFormat: capabilities.objectFormat,
    atomic: capabilities.atomic,
    pushOptions,
    isShallow,
  };
  const source = { pack: received.pack, onProgress: (text: string) => report.progress(text), signal };
  try {
    const outcome = await parts.pushes.receive(identity, path, stated, source);
    return reported(outcome);
  } catch (error) {
    const refusal = asRefusal(error);
    if (refusal.code === "unauthenticated" || refusal.code === "cancelled") throw error;
    if (refusal.code === "internal") parts.onError(error);
    const refused = new Map(
      updates.map(({ ref }) => [ref, refusal.code === "push-refused" ? "unpacker error" : refusal.code]),
    );
    return { kind: "refused", unpack: oneLine(refusal), refused, lines: explain(refusal).split("\n") };
  }
}

function reported({ refused, recorded }: PushReport): ReceiveOutcome {
  const lines = recorded === undefined ? [] : tell(recorded);
  const kind = recorded === undefined ? (refused.size > 0 ? "refused" : "nothing") : "recorded";
  return { kind, unpack: "ok", refused, lines };
}

function tell({ repository, manifest, contributions }: RecordedPush): string[] {
  const shown = contributions.slice(0, contributorsShownMax).map((one) => `${one.name} (${one.commits})`);
  const more = contributions.length - shown.length;
  return [
    `gitd: push ${repository.seq} of ${formatRepoPath(repository.path)} is recorded, and queued for the chain`,
    `gitd: manifest ${manifest}`,
    ...(shown.length === 0
      ? []
      : [`gitd: contributors ${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`]),
  ];
}

function oneLine(refusal: GitdError): string {
  return refusal.message.replace(/\s*\n\s*/g, "; ");
}
