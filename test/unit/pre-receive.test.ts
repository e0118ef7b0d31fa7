import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { isGitdError } from "../../server/domain/errors.ts";
import { type Oid, zeroOid } from "../../server/domain/ids.ts";
import { refuseUpdates } from "../../hooks/pre-receive.ts";
import { refNameProblem } from "../../hooks/ref-name.ts";

const zero = zeroOid("sha1");
const one = "1".repeat(40) as Oid;

function refused(
  existing: readonly string[],
  updates: readonly (readonly [ref: string, to: Oid])[],
  pushOptions: readonly string[] = [],
): Record<string, string> {
  const refs = new Set(existing);
  const reasons = refuseUpdates({
    updates: updates.map(([ref, to]) => ({ ref, old: refs.has(ref) ? one : zero, new: to })),
    pushOptions,
    head: "refs/heads/main",
    hasRef: (name) => refs.has(name),
    hasRefBelow: (prefix) => existing.some((name) => name.startsWith(prefix)),
  });
  return Object.fromEntries(reasons);
}

describe("the policy before a pack is read", () => {
  it("takes ordinary updates, HEAD's branch included", () => {
    assert.deepEqual(
      refused(
        ["refs/heads/main"],
        [
          ["refs/heads/main", one],
          ["refs/tags/v1", one],
          ["refs/heads/x", zero],
        ],
      ),
      {},
    );
  });

  it("refuses to delete the branch that HEAD stands for", () => {
    assert.deepEqual(refused(["refs/heads/main"], [["refs/heads/main", zero]]), {
      "refs/heads/main": "deletion of the current branch prohibited",
    });
  });

  it("refuses a ref that is a folder of another, among old and new ones", () => {
    assert.match(
      refused(["refs/heads/a"], [["refs/heads/a/b", one]])["refs/heads/a/b"] ?? "",
      /exists; cannot create/,
    );
    assert.match(refused(["refs/heads/a/b"], [["refs/heads/a", one]])["refs/heads/a"] ?? "", /cannot create/);
    const both = refused(
      [],
      [
        ["refs/heads/a", one],
        ["refs/heads/a/b", one],
      ],
    );
    assert.equal(Object.keys(both).length, 2);
    assert.deepEqual(
      refused(
        ["refs/heads/a"],
        [
          ["refs/heads/a", zero],
          ["refs/heads/a/b", one],
        ],
      ),
      {},
    );
  });

  it("refuses a push that names a ref twice or brings too many options", () => {
    const spoils = (error: unknown): boolean =>
      isGitdError(error, "push-refused") || isGitdError(error, "too-large");
    assert.throws(
      () =>
        refused(
          [],
          [
            ["refs/heads/a", one],
            ["refs/heads/a", one],
          ],
        ),
      spoils,
    );
    assert.throws(
      () =>
        refused(
          [],
          [],
          Array.from({ length: 101 }, () => "x"),
        ),
      spoils,
    );
    assert.throws(() => refused([], [], ["x".repeat(1025)]), spoils);
  });

  it("agrees with git check-ref-format on what a ref name is", () => {
    const part = fc.string({
      unit: fc.constantFrom(..."ab.~^:?*[\\@{} -_é\u0001\u007f"),
      minLength: 0,
      maxLength: 6,
    });
    const name = fc
      .array(part, { minLength: 1, maxLength: 3 })
      .map((parts) => `refs/heads/${parts.join("/")}`);
    fc.assert(
      fc.property(
        fc.oneof(
          name,
          name.map((text) => `${text}.lock`),
        ),
        (ref) => {
          let isGood = true;
          try {
            execFileSync("git", ["check-ref-format", ref], { stdio: "ignore" });
          } catch (error) {
            assert.ok(error instanceof Error);
            isGood = false;
          }
          assert.equal(refNameProblem(ref) === undefined, isGood, JSON.stringify(ref));
        },
      ),
      { numRuns: 300 },
    );
  }).timeout(30_000);

  it("refuses names outside refs/, too long, or not UTF-8", () => {
    for (const bad of [
      "HEAD",
      "main",
      "refs/x",
      `refs/heads/${"x".repeat(251)}`,
      `refs/heads/${"x/".repeat(600)}y`,
      "refs/heads/\ufffd",
    ]) {
      assert.ok(refNameProblem(bad), bad);
    }
  });
});
