import assert from "node:assert/strict";
import { contributionsOf } from "../../server/domain/contribution.ts";
import { isGitdError } from "../../server/domain/errors.ts";
import { formatRepoPath, parseRepoPath, repoIdOf } from "../../server/domain/ids.ts";

const wallet = `0x${"ab".repeat(20)}`;

describe("a repository's path", () => {
  it("is a namespace and a name, in lower case, with or without .git", () => {
    assert.deepEqual(parseRepoPath("Acme/Tool.git"), { namespace: "acme", name: "tool" });
    assert.deepEqual(parseRepoPath(`${wallet}/a.b_c-d`), { namespace: wallet, name: "a.b_c-d" });
  });

  it("is refused as not found when no repository can have it", () => {
    const hostile = [
      "",
      "a",
      "acme/",
      "/tool",
      "acme/../etc",
      "acme/..",
      "acme/.git",
      "acme/a/b",
      "acme/t%2e%2e",
      "acme/a\0b",
      "ac me/x",
      "-a/x",
      "acme/-x",
      "acme/x.lock",
      "0xabc/x",
      "acme/ü",
    ];
    for (const text of hostile) {
      assert.throws(
        () => parseRepoPath(text),
        (error) => isGitdError(error, "repo-not-found"),
        JSON.stringify(text),
      );
    }
  });

  it("gives the registry's id", () => {
    const path = parseRepoPath("acme/tool");
    assert.equal(formatRepoPath(path), "acme/tool");
    assert.equal(repoIdOf(path), repoIdOf(parseRepoPath("ACME/tool.git")));
  });
});

describe("the contributions of a Push", () => {
  const repo = repoIdOf({ namespace: "acme", name: "tool" });
  const commit = (email: string, isMerge = false) => ({ name: "N", email, isMerge });

  it("count commits by author, largest first, merges left out", () => {
    const found = contributionsOf(repo, [
      commit(`${wallet}@users.gitd`),
      commit("a@example.org"),
      commit("A@Example.org "),
      commit("a@example.org", true),
    ]);
    assert.deepEqual(
      found.map((one) => [one.commits, one.escrow]),
      [
        [2, true],
        [1, false],
      ],
    );
    assert.equal(found[1]?.author, wallet);
  });

  it("hold an unclaimed e-mail's share at an address of that repository alone", () => {
    const other = repoIdOf({ namespace: "acme", name: "other" });
    const [here] = contributionsOf(repo, [commit("a@example.org")]);
    const [there] = contributionsOf(other, [commit("a@example.org")]);
    assert.notEqual(here?.author, there?.author);
  });
});
