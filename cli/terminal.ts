import { isCancel, password, spinner } from "@clack/prompts";
import { GitdError } from "../server/domain/errors.ts";

/** The only door to the terminal: results go to stdout, everything else to stderr. */
export class Terminal {
  readonly #output: NodeJS.WriteStream;
  readonly #talk: NodeJS.WriteStream;
  readonly #input: NodeJS.ReadStream;

  constructor(streams: {
    readonly stdout: NodeJS.WriteStream;
    readonly stderr: NodeJS.WriteStream;
    readonly stdin: NodeJS.ReadStream;
  }) {
    this.#output = streams.stdout;
    this.#talk = streams.stderr;
    this.#input = streams.stdin;
  }

  /** A line of the result. */
  print(text: string): void {
    this.#output.write(`${text}\n`);
  }

  /** The result for programs. */
  printJson(value: unknown): void {
    const text = JSON.stringify(
      value,
      (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part),
      2,
    );
    this.print(text);
  }

  /** A table with a head, columns as wide as they need to be. */
  printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const lines = [head, ...rows];
    const widths = head.map((_title, at) => Math.max(...lines.map((line) => (line[at] ?? "").length)));
    for (const line of lines) {
      this.print(
        line
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("  ")
          .trimEnd(),
      );
    }
  }

  /** Words for a person beside the result. */
  say(text: string): void {
    this.#talk.write(`${text}\n`);
  }

  /** Runs what may take a while; on a terminal with something that moves. */
  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (!this.#talk.isTTY) return work();
    const busy = spinner({ output: this.#talk });
    busy.start(what);
    try {
      const result = await work();
      busy.stop(what);
      return result;
    } catch (error) {
      busy.error(what);
      throw error;
    }
  }

  /** Asks for a secret without showing it. Throws `invalid` where nobody can be asked. */
  async askSecret(question: string): Promise<string> {
    if (!this.#input.isTTY) {
      throw new GitdError("invalid", "there is no terminal to ask for the passphrase on", {
        fix: "set GITD_PASSPHRASE",
      });
    }
    const answer = await password({ message: question, output: this.#talk });
    if (isCancel(answer)) throw new GitdError("cancelled", "nothing was done");
    return answer;
  }

  /** Everything on standard input, at most `bytesMax` of it. */
  async readInput(bytesMax: number): Promise<string> {
    let text = "";
    this.#input.setEncoding("utf8");
    for await (const chunk of this.#input as AsyncIterable<string>) {
      text += chunk;
      if (text.length > bytesMax)
        throw new GitdError("too-large", `more than ${bytesMax} bytes on standard input`);
    }
    return text;
  }
}
