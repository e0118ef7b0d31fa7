import { type ObjectFormat, type Oid, zeroOid } from "../domain/ids.ts";
import type { Ref } from "../domain/push.ts";
import { encodeFlush, encodePacket } from "./pkt-line.ts";
import type { RefTable } from "./ref-table.ts";

export interface AdvertisedFacts {
  readonly refs: RefTable;
  /** The ref that HEAD stands for. */
  readonly head: string;
  readonly objectFormat: ObjectFormat;
  /** What the server calls itself, such as `gitd/0.1.0`. */
  readonly agent: string;
  /** Names this process in logs on both sides; sent back by clients that trace sessions. */
  readonly sessionId: string;
}

/** What ls-refs may be asked (gitprotocol-v2(5)). */
export interface LsRefsQuestion {
  readonly peel: boolean;
  readonly symrefs: boolean;
  readonly unborn: boolean;
  readonly prefixes: readonly string[];
}

/** From this many prefixes on git's server ignores them all (`ls-refs.c`); clients filter themselves. */
const prefixesMax = 65_536;

/** The version 2 greeting: capabilities, no refs. */
export function advertiseCapabilitiesV2({ objectFormat, agent, sessionId }: AdvertisedFacts): Buffer {
  const lines = [
    "version 2",
    `agent=${agent}`,
    "ls-refs=unborn",
    "fetch=shallow wait-for-done filter ref-in-want",
    "server-option",
    `object-format=${objectFormat}`,
    "object-info",
    `session-id=${sessionId}`,
  ];
  return Buffer.concat([...lines.map((line) => encodePacket(`${line}\n`)), encodeFlush()]);
}

/** The version 0 or 1 greeting of upload-pack: every ref, with the capabilities behind the first one. */
export function advertiseUploadPack(facts: AdvertisedFacts & { readonly version: 0 | 1 }): Buffer {
  const { refs, head, objectFormat, agent, sessionId, version } = facts;
  return refs.advertisement(`upload ${version} ${head} ${agent}`, () => {
    const tip = refs.get(head);
    const capabilities = [
      "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not deepen-relative",
      "no-progress include-tag multi_ack_detailed allow-tip-sha1-in-want allow-reachable-sha1-in-want no-done",
      ...(tip === undefined ? [] : [`symref=HEAD:${head}`]),
      `filter object-format=${objectFormat} agent=${agent} session-id=${sessionId}`,
    ].join(" ");
    const withHead = tip === undefined ? refs.refs() : [{ ...tip, name: "HEAD" }, ...refs.refs()];
    return greeting("git-upload-pack", version, withHead, capabilities, objectFormat, true);
  });
}

/** The greeting of receive-pack, which has no version 2. `refs` is undefined for a repository that does not exist yet. */
export function advertiseReceivePack(facts: {
  readonly refs: RefTable | undefined;
  readonly objectFormat: ObjectFormat;
  readonly agent: string;
  readonly sessionId: string;
}): Buffer {
  const { refs, objectFormat, agent, sessionId } = facts;
  const capabilities =
    `report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options ` +
    `object-format=${objectFormat} agent=${agent} session-id=${sessionId}`;
  const build = (): Buffer =>
    greeting("git-receive-pack", 0, refs?.refs() ?? [], capabilities, objectFormat, false);
  return refs === undefined ? build() : refs.advertisement(`receive ${agent}`, build);
}

/** The answer to ls-refs, from memory. */
export function answerLsRefs(
  facts: Pick<AdvertisedFacts, "refs" | "head">,
  question: LsRefsQuestion,
): Buffer {
  const { refs, head } = facts;
  const prefixes = question.prefixes.length >= prefixesMax ? [] : question.prefixes;
  const lines: Buffer[] = [];
  if (prefixes.length === 0 || prefixes.some((prefix) => "HEAD".startsWith(prefix))) {
    const tip = refs.get(head);
    const target = question.symrefs ? ` symref-target:${head}` : "";
    if (tip !== undefined) lines.push(encodePacket(`${tip.oid} HEAD${target}${peeledPart(tip, question)}\n`));
    else if (question.unborn) lines.push(encodePacket(`unborn HEAD${target}\n`));
  }
  for (const ref of chosen(refs, prefixes)) {
    lines.push(encodePacket(`${ref.oid} ${ref.name}${peeledPart(ref, question)}\n`));
  }
  return Buffer.concat([...lines, encodeFlush()]);
}

function peeledPart(ref: Ref, question: LsRefsQuestion): string {
  return question.peel && ref.peeled !== undefined ? ` peeled:${ref.peeled}` : "";
}

/** The refs under any prefix, each once: prefixes that start with another add nothing to it. */
function* chosen(refs: RefTable, prefixes: readonly string[]): Iterable<Ref> {
  if (prefixes.length === 0) {
    yield* refs.refs();
    return;
  }
  let widest: string | undefined;
  for (const prefix of [...new Set(prefixes)].sort()) {
    if (widest !== undefined && prefix.startsWith(widest)) continue;
    widest = prefix;
    yield* refs.startingWith(prefix);
  }
}

function greeting(
  service: string,
  version: 0 | 1,
  refs: Iterable<Ref>,
  capabilities: string,
  objectFormat: ObjectFormat,
  peel: boolean,
): Buffer {
  const parts = [encodePacket(`# service=${service}\n`), encodeFlush()];
  if (version === 1) parts.push(encodePacket("version 1\n"));
  let first = true;
  const line = (oid: Oid, name: string): void => {
    parts.push(encodePacket(first ? `${oid} ${name}\0${capabilities}\n` : `${oid} ${name}\n`));
    first = false;
  };
  for (const ref of refs) {
    line(ref.oid, ref.name);
    if (peel && ref.peeled !== undefined) line(ref.peeled, `${ref.name}^{}`);
  }
  if (first) line(zeroOid(objectFormat), "capabilities^{}");
  return Buffer.concat([...parts, encodeFlush()]);
}
