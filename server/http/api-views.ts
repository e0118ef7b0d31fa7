import { formatRepoPath } from "../domain/ids.ts";
import type { BondView } from "../flows/administer.ts";
import type { PushRow, Repository } from "../ledger/port.ts";

/** JSON has no 64-bit integers, so that they travel as decimal strings. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part)),
  );
}

export function repositoryView(repository: Repository): unknown {
  const { path, version: _version, ...facts } = repository;
  return plain({ ...facts, path: formatRepoPath(path) });
}

export function pushView({ version: _version, ...push }: PushRow): unknown {
  return plain(push);
}

export function bondView({ bond, usage }: BondView): unknown {
  const { calls, bytes, unsettled } = usage;
  return plain({ ...bond, used: { calls, bytes, unsettled } });
}
