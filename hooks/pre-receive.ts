import { GitdError } from "../server/domain/errors.ts";
import { isZeroOid } from "../server/domain/ids.ts";
import type { RefUpdate } from "../server/domain/push.ts";
import { refNameProblem } from "./ref-name.ts";

/** What policy looks at before a byte of the pack is read. */
export interface IncomingPush {
  readonly updates: readonly RefUpdate[];
  readonly pushOptions: readonly string[];
  /** The ref that HEAD stands for. */
  readonly head: string;
  hasRef(name: string): boolean;
  /** Whether any ref lies below `prefix`, which ends in a slash. */
  hasRefBelow(prefix: string): boolean;
}

const pushOptionsMax = 100;
const pushOptionBytesMax = 1024;
const updatesMax = 50_000;

/**
 * The policy on a Push, as git's own receive-pack has it by default: well-formed names below `refs/`, one update for
 * each ref, no deletion of the branch that HEAD stands for, no ref that is both file and folder. Returns why each
 * refused ref is refused; throws `push-refused` or `too-large` for what spoils the whole Push.
 */
export function refuseUpdates(push: IncomingPush): Map<string, string> {
  checkSize(push);
  const refused = new Map<string, string>();
  const names = new Set<string>();
  for (const { ref } of push.updates) {
    if (names.has(ref)) {
      throw new GitdError("push-refused", `the push updates ${shown(ref)} twice`, {
        fix: "name each ref once",
      });
    }
    names.add(ref);
  }
  const deleted = new Set(push.updates.filter((update) => isZeroOid(update.new)).map((update) => update.ref));
  const created = new Set(
    push.updates.filter((update) => !isZeroOid(update.new)).map((update) => update.ref),
  );
  const createdFolders = new Set([...created].flatMap(foldersOf));
  for (const { ref } of push.updates) {
    const problem =
      refNameProblem(ref) ??
      (deleted.has(ref)
        ? deletionProblem(ref, push)
        : (folderProblem(ref, push, created, deleted) ?? fileProblem(ref, push, createdFolders, deleted)));
    if (problem !== undefined) refused.set(ref, problem);
  }
  return refused;
}

function checkSize(push: IncomingPush): void {
  if (push.updates.length > updatesMax) {
    throw new GitdError(
      "too-large",
      `the push updates ${push.updates.length} refs, and ${updatesMax} are the most`,
      {
        fix: "push the refs in several turns",
      },
    );
  }
  const longest = Math.max(0, ...push.pushOptions.map((option) => Buffer.byteLength(option)));
  if (push.pushOptions.length > pushOptionsMax || longest > pushOptionBytesMax) {
    throw new GitdError("too-large", "the push has too many or too long push options", {
      fix: `send at most ${pushOptionsMax} of at most ${pushOptionBytesMax} bytes`,
    });
  }
}

function deletionProblem(ref: string, push: IncomingPush): string | undefined {
  return ref === push.head && push.hasRef(ref) ? "deletion of the current branch prohibited" : undefined;
}

/** `refs/heads/a` stands in the way of `refs/heads/a/b`. */
function folderProblem(
  ref: string,
  push: IncomingPush,
  created: ReadonlySet<string>,
  deleted: ReadonlySet<string>,
): string | undefined {
  const inTheWay = foldersOf(ref).find(
    (folder) => created.has(folder) || (push.hasRef(folder) && !deleted.has(folder)),
  );
  return inTheWay === undefined ? undefined : `'${inTheWay}' exists; cannot create '${ref}'`;
}

/** `refs/heads/a/b` stands in the way of `refs/heads/a`; whoever renames across deletes first, in a Push of its own. */
function fileProblem(
  ref: string,
  push: IncomingPush,
  createdFolders: ReadonlySet<string>,
  deleted: ReadonlySet<string>,
): string | undefined {
  if (createdFolders.has(ref)) return `another update of this push needs '${ref}/' as a folder`;
  if (push.hasRef(ref) || !push.hasRefBelow(`${ref}/`)) return undefined;
  const sweep = [...deleted].some((name) => name.startsWith(`${ref}/`));
  return sweep
    ? `refs below '${ref}/' exist; delete them in a push of its own first`
    : `refs below '${ref}/' exist; cannot create '${ref}'`;
}

function foldersOf(ref: string): string[] {
  const parts = ref.split("/");
  return parts.slice(2, -1).map((_, at) => parts.slice(0, at + 3).join("/"));
}

function shown(ref: string): string {
  return `'${ref.slice(0, 200)}'`;
}
