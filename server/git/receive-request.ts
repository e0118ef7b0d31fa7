import { GitdError } from "../domain/errors.ts";
import { type ObjectFormat, type Oid, isOid, oidHexLength } from "../domain/ids.ts";
import type { RefUpdate } from "../domain/push.ts";
import { PacketReader, lineText } from "./pkt-line.ts";

/** How a pushing client wants to be served. */
export interface ReceiveCapabilities {
  readonly reportStatus: boolean;
  readonly sideBand: boolean;
  readonly quiet: boolean;
  readonly atomic: boolean;
  readonly objectFormat: ObjectFormat;
}

/** The head of a push (gitprotocol-pack(5), "Reference Update Request"); its pack follows unread. */
export interface ReceiveRequest {
  readonly updates: readonly RefUpdate[];
  readonly capabilities: ReceiveCapabilities;
  readonly pushOptions: readonly string[];
  /** True when the client said where its own history is cut off. */
  readonly isShallow: boolean;
  readonly pack: AsyncIterable<Uint8Array>;
}

const commandsMax = 50_000;
const commandBytesMax = 10 * 1024 * 1024;
const pushOptionsMax = 1_000;

/** Reads commands and push options and leaves the pack. Throws `invalid` or `too-large`. */
export async function readReceiveRequest(body: AsyncIterable<Uint8Array>): Promise<ReceiveRequest> {
  const reader = new PacketReader(body);
  const lines = await section(reader);
  const commands = lines.filter((line) => !line.startsWith("shallow "));
  const [first = "", ...others] = commands;
  if (first.startsWith("push-cert")) {
    throw new GitdError("invalid", "signed pushes are not taken here", { fix: "push without --signed" });
  }
  const nul = first.indexOf("\0");
  const words = new Set(nul < 0 ? [] : first.slice(nul + 1).split(" "));
  const capabilities = capabilitiesOf(words);
  const updates =
    commands.length === 0
      ? []
      : [nul < 0 ? first : first.slice(0, nul), ...others].map((line) =>
          updateOf(line, capabilities.objectFormat),
        );
  const pushOptions = words.has("push-options") ? await section(reader) : [];
  if (pushOptions.length > pushOptionsMax) throw tooMany("push options", pushOptionsMax);
  return {
    updates,
    capabilities,
    pushOptions,
    isShallow: commands.length < lines.length,
    pack: reader.rest(),
  };
}

/** Lines up to the next flush. */
async function section(reader: PacketReader): Promise<string[]> {
  const lines: string[] = [];
  let bytes = 0;
  for (let packet = await reader.next(); packet?.kind !== "flush"; packet = await reader.next()) {
    if (packet === undefined) {
      if (lines.length === 0) return lines;
      throw new GitdError("invalid", "the push ends before its commands do", { fix: "push again" });
    }
    if (packet.kind !== "line") throw new GitdError("invalid", "a push has no such packet here");
    bytes += packet.bytes.length;
    if (lines.length >= commandsMax || bytes > commandBytesMax) throw tooMany("commands", commandsMax);
    lines.push(lineText(packet.bytes));
  }
  return lines;
}

function updateOf(line: string, format: ObjectFormat): RefUpdate {
  const length = oidHexLength(format);
  const old = line.slice(0, length);
  const next = line.slice(length + 1, 2 * length + 1);
  const ref = line.slice(2 * length + 2);
  const spaced = line[length] === " " && line[2 * length + 1] === " ";
  if (!spaced || !isOidOf(old, length) || !isOidOf(next, length) || ref === "") {
    throw new GitdError("invalid", `not a push command: ${JSON.stringify(line.slice(0, 200))}`);
  }
  return { ref, old, new: next };
}

function isOidOf(text: string, length: number): text is Oid {
  return text.length === length && isOid(text);
}

function capabilitiesOf(words: ReadonlySet<string>): ReceiveCapabilities {
  return {
    reportStatus: words.has("report-status") || words.has("report-status-v2"),
    sideBand: words.has("side-band-64k"),
    quiet: words.has("quiet"),
    atomic: words.has("atomic"),
    objectFormat: words.has("object-format=sha256") ? "sha256" : "sha1",
  };
}

function tooMany(what: string, most: number): GitdError {
  return new GitdError("too-large", `the push has too many ${what}: at most ${most} are taken`, {
    fix: "push in several steps",
  });
}
