import type { FetchQuery } from "../flows/serve-fetch.ts";
import {
  type AdvertisedFacts,
  advertiseCapabilitiesV2,
  advertiseUploadPack,
  answerLsRefs,
} from "../git/advertise.ts";
import { type UploadRequest, parseUploadRequest, withWantedRefs } from "../git/fetch-request.ts";
import { forgetRest, requestBody } from "./body.ts";
import { type GitContext, protocolOf, protocolVersion } from "./git-context.ts";
import { sendStream } from "./send.ts";

/** Wants, haves and arguments of one round; 600,000 haves fit. */
const requestBytesMax = 32n * 1024n * 1024n;
const resultType = "application/x-git-upload-pack-result";

/** `GET info/refs?service=git-upload-pack`: capabilities (version 2) or all refs (versions 0 and 1), from memory. */
export async function advertiseUpload({
  parts,
  identity,
  path,
  request,
  response,
}: GitContext): Promise<void> {
  const { repository, refs } = await parts.fetches.open(identity, path);
  const version = protocolVersion(protocolOf(request));
  const facts = {
    refs,
    head: repository.head,
    objectFormat: repository.objectFormat,
    agent: parts.agent,
    sessionId: parts.sessionId,
  };
  const body = version === 2 ? advertiseCapabilitiesV2(facts) : advertiseUploadPack({ ...facts, version });
  response.writeHead(200, {
    "content-type": "application/x-git-upload-pack-advertisement",
    "content-length": String(body.length),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** `POST git-upload-pack`: one round of a fetch, or a version 2 command. */
export async function serveUpload(context: GitContext): Promise<void> {
  const { parts, identity, path, request, response } = context;
  const open = await parts.fetches.open(identity, path);
  const facts = { refs: open.refs, head: open.repository.head };
  const version = protocolVersion(protocolOf(request));
  const body = requestBody(request, response, { inflatedBytesMax: requestBytesMax });
  try {
    await answer(context, facts, await parseUploadRequest(body, { version, ...facts }));
  } finally {
    forgetRest(request, body);
  }
}

async function answer(
  context: GitContext,
  facts: Pick<AdvertisedFacts, "refs" | "head">,
  asked: UploadRequest,
): Promise<void> {
  const { parts, identity, path, request, response, signal } = context;
  response.setHeader("content-type", resultType);
  if (asked.kind === "nothing") {
    response.writeHead(200, { "content-length": "0" }).end();
    return;
  }
  if (asked.kind === "ls-refs") {
    const listed = answerLsRefs(facts, asked.question);
    response.writeHead(200, { "content-length": String(listed.length) }).end(listed);
    return;
  }
  const isFetch = asked.kind === "fetch";
  const query: FetchQuery = {
    request: asked.request,
    protocol: protocolOf(request),
    isClone: isFetch && asked.isClone,
    isWhole: isFetch && asked.isWhole,
    ...(isFetch && asked.wantedRefs.length > 0
      ? { transform: (raw: AsyncIterable<Uint8Array>) => withWantedRefs(raw, asked.wantedRefs) }
      : {}),
  };
  await sendStream(response, parts.fetches.fetch(identity, path, query, signal), signal);
}
