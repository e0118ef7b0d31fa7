import { GitdError } from "../domain/errors.ts";
import { type ObjectFormat, type Oid, isOid, oidHexLength } from "../domain/ids.ts";
import type { LsRefsQuestion } from "./advertise.ts";
import { PacketReader, encodeDelimiter, encodeFlush, encodePacket, lineText } from "./pkt-line.ts";
import type { RefTable } from "./ref-table.ts";

/** A fetch in normal form: what git itself is asked, and what the response still needs. */
export interface FetchRequest {
  readonly kind: "fetch";
  readonly request: Buffer;
  /** True when the client says that it has nothing. */
  readonly isClone: boolean;
  /** True when it wants the whole history: no depth, no filter, nothing cut off on its side. */
  readonly isWhole: boolean;
  /** Refs that were wanted by name, and what they stand for. */
  readonly wantedRefs: readonly { readonly name: string; readonly oid: Oid }[];
}

export type UploadRequest =
  | FetchRequest
  | { readonly kind: "ls-refs"; readonly question: LsRefsQuestion }
  | { readonly kind: "object-info"; readonly request: Buffer }
  /** A lone flush, with which clients ask whether they may send more. */
  | { readonly kind: "nothing" };

const lineMax = 1_000_000;
const fetchFlags = new Set([
  "done",
  "thin-pack",
  "no-progress",
  "include-tag",
  "ofs-delta",
  "deepen-relative",
  "wait-for-done",
]);
const fetchWords = ["deepen ", "deepen-since ", "deepen-not ", "filter "] as const;
const cutWords = ["shallow ", "deepen", "filter "];

/**
 * Reads one upload-pack request. In version 2, refs wanted by name are turned into oids, since C git answers
 * `wanted-refs` before `shallow-info`, an order that its own client does not read. Throws `invalid` for what no client sends.
 */
export async function parseUploadRequest(
  body: AsyncIterable<Uint8Array>,
  facts: { readonly version: 0 | 1 | 2; readonly refs: RefTable; readonly head: string },
): Promise<UploadRequest> {
  return facts.version === 2 ? parseCommand(body, facts) : parseRound(body);
}

/** Puts the `wanted-refs` section where clients read it: right before the pack. */
export async function* withWantedRefs(
  response: AsyncIterable<Uint8Array>,
  wantedRefs: FetchRequest["wantedRefs"],
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = new PacketReader(response);
  for (let packet = await reader.next(); packet !== undefined; packet = await reader.next()) {
    if (packet.kind === "flush") yield encodeFlush();
    else if (packet.kind === "delimiter") yield encodeDelimiter();
    else if (packet.kind === "line") {
      if (lineText(packet.bytes) === "packfile") {
        yield encodePacket("wanted-refs\n");
        for (const { name, oid } of wantedRefs) yield encodePacket(`${oid} ${name}\n`);
        yield encodeDelimiter();
        yield encodePacket(packet.bytes);
        yield* reader.rest();
        return;
      }
      yield encodePacket(packet.bytes);
    }
  }
}

async function parseCommand(
  body: AsyncIterable<Uint8Array>,
  facts: { readonly refs: RefTable; readonly head: string },
): Promise<UploadRequest> {
  const { head, args } = await readCommand(new PacketReader(body));
  const command = head.find((line) => line.startsWith("command="));
  if (command === undefined) {
    if (head.length === 0 && args.length === 0) return { kind: "nothing" };
    throw refused("the request names no command");
  }
  const format =
    head.find((line) => line.startsWith("object-format="))?.slice("object-format=".length) ?? "sha1";
  if (format !== facts.refs.objectFormat) {
    throw refused(
      `the repository's object format is ${facts.refs.objectFormat}, and the request's is ${format}`,
    );
  }
  if (command === "command=ls-refs") return { kind: "ls-refs", question: questionOf(args) };
  if (command === "command=fetch") return fetchOf(head, args, facts);
  if (command === "command=object-info") return { kind: "object-info", request: commandBytes(head, args) };
  throw refused(`there is no such command: ${command.slice(0, 80)}`);
}

async function readCommand(reader: PacketReader): Promise<{ head: string[]; args: string[] }> {
  const head: string[] = [];
  const args: string[] = [];
  let into = head;
  for (let packet = await reader.next(); packet !== undefined; packet = await reader.next()) {
    if (packet.kind === "flush") return { head, args };
    if (packet.kind === "delimiter" && into === head) into = args;
    else if (packet.kind === "line" && into.length < lineMax) into.push(lineText(packet.bytes));
    else throw refused("it has a packet where none belongs");
  }
  if (head.length === 0) return { head, args };
  throw refused("it ends before its flush");
}

function questionOf(args: readonly string[]): LsRefsQuestion {
  const prefixes: string[] = [];
  const flags = new Set<string>();
  for (const line of args) {
    if (line.startsWith("ref-prefix ")) prefixes.push(line.slice("ref-prefix ".length));
    else if (line === "peel" || line === "symrefs" || line === "unborn") flags.add(line);
    else throw refused(`ls-refs knows no '${line.slice(0, 80)}'`);
  }
  return { peel: flags.has("peel"), symrefs: flags.has("symrefs"), unborn: flags.has("unborn"), prefixes };
}

function fetchOf(
  head: readonly string[],
  args: readonly string[],
  facts: { readonly refs: RefTable; readonly head: string },
): FetchRequest {
  const wantedRefs: { name: string; oid: Oid }[] = [];
  const lines = args.map((line) => {
    if (!line.startsWith("want-ref ")) return checkedArgument(line, facts.refs.objectFormat);
    const name = line.slice("want-ref ".length);
    const oid = facts.refs.get(name === "HEAD" ? facts.head : name)?.oid;
    if (oid === undefined) throw refused(`unknown ref ${name.slice(0, 200)}`);
    wantedRefs.push({ name, oid });
    return `want ${oid}`;
  });
  return { kind: "fetch", request: commandBytes(head, lines), wantedRefs, ...clientState(lines) };
}

function checkedArgument(line: string, format: ObjectFormat): string {
  const oid = /^(?:want|have|shallow) (.*)$/.exec(line)?.[1];
  const known =
    oid === undefined
      ? fetchFlags.has(line) || fetchWords.some((word) => line.startsWith(word))
      : isOid(oid) && oid.length === oidHexLength(format);
  if (!known) throw refused(`fetch knows no '${line.slice(0, 80)}'`);
  return line;
}

function clientState(lines: readonly string[]): { isClone: boolean; isWhole: boolean } {
  return {
    isClone: !lines.some((line) => line.startsWith("have ")),
    isWhole: !lines.some((line) => cutWords.some((word) => line.startsWith(word))),
  };
}

function commandBytes(head: readonly string[], args: readonly string[]): Buffer {
  const parts = head.map((line) => encodePacket(`${line}\n`));
  if (args.length > 0) parts.push(encodeDelimiter(), ...args.map((line) => encodePacket(`${line}\n`)));
  return Buffer.concat([...parts, encodeFlush()]);
}

/** Versions 0 and 1: wants, depth, flush, haves, done; passed on as it came. */
async function parseRound(body: AsyncIterable<Uint8Array>): Promise<UploadRequest> {
  const reader = new PacketReader(body);
  const parts: Buffer[] = [];
  const lines: string[] = [];
  for (let packet = await reader.next(); packet !== undefined; packet = await reader.next()) {
    if (packet.kind === "flush") parts.push(encodeFlush());
    else if (packet.kind !== "line" || lines.length >= lineMax)
      throw refused("it has a packet where none belongs");
    else {
      parts.push(encodePacket(packet.bytes));
      lines.push(lineText(packet.bytes));
    }
  }
  if (lines.length === 0) return { kind: "nothing" };
  return { kind: "fetch", request: Buffer.concat(parts), wantedRefs: [], ...clientState(lines) };
}

function refused(why: string): GitdError {
  return new GitdError("invalid", `the fetch request is not understood: ${why}`, {
    fix: "use a current Git client; a proxy between may also have changed the request",
  });
}
