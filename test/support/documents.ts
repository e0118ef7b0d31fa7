import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";

/** Paths of this project that a document names in backticks or links to, and that do not exist. */
export async function missingFrom(root: string, document: string): Promise<string[]> {
  const text = await readFile(join(root, document), "utf8");
  const prose = text.replaceAll(/^```.*?^```/gms, "");
  const named = [...prose.matchAll(/`((?:server|hooks|cli|contracts|test|\.ci)\/[\w./-]*)`/g)].map(
    ([, path]) => path ?? "",
  );
  const linked = [...prose.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path]) =>
    normalize(join(dirname(document), path ?? "")),
  );
  return [...named, ...linked].filter((path) => !existsSync(join(root, path)));
}

/** npm scripts that a document tells the reader to run, and that do not exist. */
export async function missingScripts(
  root: string,
  document: string,
  scripts: readonly string[],
): Promise<string[]> {
  const text = await readFile(join(root, document), "utf8");
  const named = [...text.matchAll(/(?:^|`)npm (?:run )?([a-z:]+)/gm)].map(([, name]) => name ?? "");
  return named.filter((name) => !scripts.includes(name) && !["ci", "install"].includes(name));
}
