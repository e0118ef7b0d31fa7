import { fork, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { descendantsOf, killGroup } from "./support/processes.ts";
import { type SuiteOutcome, suiteOutcome } from "./support/suite.ts";

/**
 * `npm test`: every group in a process of its own, one after another, each with a bound on its time.
 *
 *   npm test                         everything
 *   npm test -- unit laws            two groups
 *   npm test -- test/e2e/fetch.test.ts
 *
 * GITD_TEST_STRICT=1 counts a skipped test as failed. The last line is `N passed, N failed, N skipped`.
 */
interface Group {
  readonly name: string;
  readonly files: () => Promise<string[]>;
  /** For one test. */
  readonly testMs: number;
  /** For all of them. */
  readonly groupMs: number;
  /** Each file in its own process. */
  readonly apart?: boolean;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const lingerMs = 15_000;
const minute = 60_000;
const solidityMs = 10 * minute;

const groups: readonly Group[] = [
  { name: "house", files: () => testsIn("test", false), testMs: minute, groupMs: 3 * minute },
  { name: "unit", files: () => testsIn("test/unit"), testMs: 20_000, groupMs: 5 * minute },
  { name: "laws", files: () => testsIn("test/laws"), testMs: minute, groupMs: 8 * minute },
  { name: "solidity", files: () => testsIn("test/solidity"), testMs: 2 * minute, groupMs: 5 * minute },
  { name: "e2e", files: () => testsIn("test/e2e"), testMs: 2 * minute, groupMs: 8 * minute, apart: true },
];

interface Total {
  passed: number;
  readonly failed: string[];
  readonly skipped: string[];
  readonly times: string[];
}

async function main(wanted: readonly string[]): Promise<number> {
  const total: Total = { passed: 0, failed: [], skipped: [], times: [] };
  const paths = wanted.filter((word) => !groups.some(({ name }) => name === word));
  const missing = paths.find((path) => !existsSync(resolve(root, path)));
  if (missing !== undefined) {
    process.stderr.write(
      `no group and no test file is called '${missing}'\ngroups: ${groups.map(({ name }) => name).join(", ")}\n`,
    );
    return 2;
  }
  for (const group of groups) {
    const files = await chosenFiles(group, wanted, paths);
    for (const part of group.apart === true ? files.map((file) => [file]) : [files]) {
      if (part.length > 0) await runPart(group, part, total);
    }
    if (group.name === "solidity" && (wanted.length === 0 || wanted.includes("solidity"))) {
      await runForge(total);
    }
  }
  return summarize(total);
}

async function chosenFiles(
  group: Group,
  wanted: readonly string[],
  paths: readonly string[],
): Promise<string[]> {
  const files = await group.files();
  if (wanted.length === 0 || wanted.includes(group.name)) return files;
  const absolute = paths.map((path) => resolve(root, path));
  return files.filter((file) => absolute.some((path) => file === path || file.startsWith(`${path}/`)));
}

async function testsIn(folder: string, recursive = true): Promise<string[]> {
  const absolute = join(root, folder);
  if (!existsSync(absolute)) return [];
  const names = await readdir(absolute, { recursive });
  return names
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => join(absolute, name));
}

async function runPart(group: Group, files: readonly string[], total: Total): Promise<void> {
  const [first = "", ...more] = files.map((file) => relative(root, file));
  const title = more.length === 0 ? first : group.name;
  process.stdout.write(`\n== ${title}\n`);
  const startedAt = performance.now();
  const plan = JSON.stringify({ files, timeoutMs: group.testMs });
  const child = fork(join(root, "test/support/mocha-child.ts"), [plan], {
    cwd: root,
    execPath: process.execPath,
    detached: true,
  });
  let outcome: SuiteOutcome | undefined;
  child.once("message", (message) => (outcome = suiteOutcome.parse(message)));
  const ended = new Promise<void>((done) => child.once("exit", () => done()));
  const told = new Promise<void>((done) => child.once("disconnect", () => done()));
  const release = endOnInterrupt(() => killTree(child.pid));
  const inTime = await within(Promise.race([ended, told]), group.groupMs);
  const left = inTime && (await within(ended, lingerMs));
  if (!left) await killTree(child.pid);
  release();
  killGroup(child.pid);
  if (outcome === undefined) {
    const why = inTime
      ? `ended with ${child.exitCode ?? child.signalCode} before its summary`
      : "took too long";
    total.failed.push(`${title}: the test process ${why}`);
  } else {
    total.passed += outcome.passed;
    total.failed.push(...outcome.failed.map((name) => `${title}: ${name}`));
    total.skipped.push(...outcome.skipped.map((name) => `${title}: ${name}`));
    if (!left) total.failed.push(`${title}: something was left open, so the process did not end by itself`);
  }
  note(total, title, startedAt);
}

/** The fuzz and invariant tests of the contracts, by forge. */
async function runForge(total: Total): Promise<void> {
  const script = join(root, "test/solidity/run.ts");
  if (!existsSync(script)) return;
  process.stdout.write("\n== forge\n");
  const startedAt = performance.now();
  const child = spawn(process.execPath, [script], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    process.stdout.write(chunk);
    output += chunk.toString();
  });
  const ended = new Promise<void>((done) => child.once("close", () => done()));
  const release = endOnInterrupt(() => killTree(child.pid));
  const inTime = await within(ended, solidityMs);
  if (!inTime) await killTree(child.pid);
  release();
  const counted = [...output.matchAll(/(\d+) (?:tests? )?passed[^\d]+(\d+) failed[^\d]+(\d+) skipped/g)].at(
    -1,
  );
  total.passed += Number(counted?.[1] ?? 0);
  if (Number(counted?.[3] ?? 0) > 0) total.skipped.push(`forge: ${counted?.[3]} tests`);
  if (!inTime) total.failed.push("forge: took too long");
  else if (child.exitCode !== 0) total.failed.push(`forge: ended with ${child.exitCode ?? child.signalCode}`);
  else if (Number(counted?.[1] ?? 0) === 0) total.failed.push("forge: no test ran");
  note(total, "forge", startedAt);
}

function note(total: Total, title: string, startedAt: number): void {
  total.times.push(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${title}`);
}

function summarize(total: Total): number {
  const strict = process.env["GITD_TEST_STRICT"] === "1";
  const lines = ["", "== time", ...total.times];
  if (total.skipped.length > 0) lines.push("", "== skipped", ...total.skipped.map((name) => `  ${name}`));
  if (total.failed.length > 0) lines.push("", "== failed", ...total.failed.map((name) => `  ${name}`));
  if (strict && total.skipped.length > 0)
    lines.push("", "GITD_TEST_STRICT=1: a skipped test is a failed run");
  if (total.passed + total.failed.length === 0) lines.push("", "no test ran");
  const bad = total.failed.length > 0 || total.passed === 0 || (strict && total.skipped.length > 0);
  lines.push(
    "",
    `${total.passed} passed, ${total.failed.length} failed, ${total.skipped.length} skipped`,
    "",
  );
  process.stdout.write(lines.join("\n"));
  return bad ? 1 : 0;
}

async function within(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  const timeout = new AbortController();
  try {
    return await Promise.race([work.then(() => true), delay(timeoutMs, false, { signal: timeout.signal })]);
  } finally {
    timeout.abort();
  }
}

/** Kills a process and everything below it, whatever groups they made for themselves. */
async function killTree(pid: number | undefined): Promise<void> {
  if (pid === undefined) return;
  const below = await descendantsOf(pid);
  killGroup(pid);
  for (const entry of below) {
    if (entry.pid === entry.group) killGroup(entry.pid);
  }
}

function endOnInterrupt(end: () => Promise<void>): () => void {
  const onSignal = (): void => void end().finally(() => process.exit(130));
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  return () => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
}

process.exitCode = await main(process.argv.slice(2));
