import { GitdError } from "../domain/errors.ts";
import type { Cid } from "../domain/ids.ts";
import { absent, blockBytesMax, checkBlock, tooLarge } from "./block-check.ts";
import type { AbortOptions, BlockSource } from "./port.ts";

export interface Gateway {
  /** A trustless gateway's address: another Gitd server, or any of specs.ipfs.tech/http-gateways/trustless-gateway. */
  readonly url: string;
  /** Value of the Authorization header, sent to this gateway only and never after a redirect to another origin. */
  readonly authorization?: string;
}

const answerMsMax = 30_000;
const refusalCharactersMax = 300;

/** Reads blocks as `GET <url>/ipfs/<cid>?format=raw`. What the gateway says is not trusted: each block is checked. */
export class GatewaySource implements BlockSource {
  readonly #gateway: Gateway;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** Throws `not-found`, `unavailable`, what the gateway refuses with (`unauthenticated`, `bond-required`…), or `content-mismatch`. */
  async getBlock(cid: Cid, options: AbortOptions): Promise<Uint8Array> {
    const { url, authorization } = this.#gateway;
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(answerMsMax)]);
    const headers = {
      accept: "application/vnd.ipld.raw",
      ...(authorization === undefined ? {} : { authorization }),
    };
    try {
      const answer = await fetch(`${url.replace(/\/+$/, "")}/ipfs/${cid}?format=raw`, { headers, signal });
      if (!answer.ok) throw await refusal(answer, cid, new URL(url).origin);
      const bytes = await readBody(answer, cid);
      checkBlock(cid, bytes);
      return bytes;
    } catch (error) {
      if (error instanceof GitdError) throw error;
      options.signal.throwIfAborted();
      throw new GitdError("unavailable", `the gateway ${new URL(url).origin} does not answer`, {
        cause: error,
      });
    }
  }
}

async function readBody(answer: Response, cid: Cid): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    size += chunk.length;
    if (size > blockBytesMax) throw tooLarge(cid);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function refusal(answer: Response, cid: Cid, origin: string): Promise<GitdError> {
  if (answer.status === 404 || answer.status === 410) {
    await answer.body?.cancel();
    return absent(cid);
  }
  const text = await readStart(answer);
  const message = `the gateway ${origin} refuses ${cid} with ${answer.status}: ${text}`;
  if (answer.status === 401) return new GitdError("unauthenticated", message);
  if (answer.status === 402) return new GitdError("bond-required", message);
  if (answer.status === 403) return new GitdError("forbidden", message);
  const seconds = Number(answer.headers.get("retry-after"));
  const facts = seconds > 0 ? { retryAfterSeconds: seconds } : {};
  if (answer.status === 429) return new GitdError("rate-limited", message, facts);
  return new GitdError("unavailable", message, facts);
}

async function readStart(answer: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > refusalCharactersMax) break;
  }
  return text.slice(0, refusalCharactersMax).trim();
}
