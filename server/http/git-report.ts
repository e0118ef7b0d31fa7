import type { ServerResponse } from "node:http";
import type { RefUpdate } from "../domain/push.ts";
import { encodeBand, encodeFlush, encodePacket } from "../git/pkt-line.ts";

/** How the client wants to be told. */
export interface ReportCapabilities {
  readonly reportStatus: boolean;
  readonly sideBand: boolean;
  readonly quiet: boolean;
}

/** git gives up on silence in some settings (`http.lowSpeedTime`), so an empty packet goes out this often, as its own server does. */
const keepAliveMs = 5_000;
const bandBytesMax = 65_000;

/** Writes receive-pack's answer: progress and words on band 2 while the Push is under way, the report on band 1 at its end. */
export class ReportWriter {
  readonly #response: ServerResponse;
  readonly #capabilities: ReportCapabilities;
  #keepAlive: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, capabilities: ReportCapabilities) {
    this.#response = response;
    this.#capabilities = capabilities;
  }

  /** Passes on what git says while it works, for instance `Resolving deltas: 40%\r`. Begins the response. */
  progress(text: string): void {
    if (this.#capabilities.quiet) return;
    this.#beginKeepAlive();
    this.#band2(text);
  }

  /** A line that git shows after `remote:`, also to quiet clients. */
  tell(line: string): void {
    this.#band2(`${cleanLine(line)}\n`);
  }

  /** The report, which ends the response. */
  end(unpack: string, updates: readonly RefUpdate[], refused: ReadonlyMap<string, string>): void {
    clearInterval(this.#keepAlive);
    const { reportStatus, sideBand } = this.#capabilities;
    if (reportStatus) {
      const lines = [encodePacket(`unpack ${cleanLine(unpack)}\n`)];
      for (const { ref } of updates) {
        const reason = refused.get(ref);
        lines.push(encodePacket(reason === undefined ? `ok ${ref}\n` : `ng ${ref} ${cleanLine(reason)}\n`));
      }
      const report = Buffer.concat([...lines, encodeFlush()]);
      if (!sideBand) this.#response.write(report);
      for (let at = 0; sideBand && at < report.length; at += bandBytesMax) {
        this.#response.write(encodeBand(1, report.subarray(at, at + bandBytesMax)));
      }
    }
    this.#response.end(sideBand ? encodeFlush() : undefined);
  }

  #band2(text: string): void {
    if (!this.#capabilities.sideBand || this.#response.destroyed) return;
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += bandBytesMax) {
      this.#response.write(encodeBand(2, bytes.subarray(at, at + bandBytesMax)));
    }
  }

  #beginKeepAlive(): void {
    if (this.#keepAlive !== undefined || !this.#capabilities.sideBand) return;
    this.#keepAlive = setInterval(() => this.#response.write(encodeBand(2, Buffer.alloc(0))), keepAliveMs);
    this.#response.once("close", () => clearInterval(this.#keepAlive));
  }
}

/** One line without control characters: names and reasons may come from commits and refs, so from anyone. */
function cleanLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").slice(0, 1000);
}
