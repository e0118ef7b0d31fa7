import { GitdError } from "../domain/errors.ts";

export interface KuboAnswer {
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array>;
}

export interface KuboCall {
  /** Values are sent in order; a list repeats its name. */
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  /** Sent as a file in a multipart form, as the RPC wants it. */
  readonly file?: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

/** Kubo's own refusal: it answers 500 with a message for whatever goes wrong. */
export class KuboRefusal extends Error {
  override readonly name = "KuboRefusal";
}

const answerBytesMax = 4 * 1024 * 1024;

/** Kubo's RPC (docs.ipfs.tech/reference/kubo/rpc) over fetch; a client library would cost each front 30 MB. */
export class KuboRpc {
  readonly #url: string;
  readonly #newId: () => string;

  constructor(url: string, newId: () => string) {
    this.#url = url.replace(/\/+$/, "");
    this.#newId = newId;
  }

  /** Throws {@link KuboRefusal}, or `storage-unavailable` when nobody answers. The body must be read or cancelled. */
  async stream(command: string, call: KuboCall): Promise<KuboAnswer> {
    const url = `${this.#url}/api/v0/${command}?${parameters(call.query ?? {}).toString()}`;
    const boundary = `gitd-${this.#newId()}`;
    const upload =
      call.file === undefined
        ? {}
        : {
            body: ReadableStream.from(form(call.file, boundary)),
            headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
            duplex: "half" as const,
          };
    let answer: Response;
    try {
      answer = await fetch(url, { method: "POST", signal: call.signal, ...upload });
    } catch (cause) {
      call.signal.throwIfAborted();
      throw unanswered(cause);
    }
    if (!answer.ok) throw await refusal(answer);
    if (answer.body === null) throw unanswered(undefined);
    return { headers: answer.headers, body: answer.body };
  }

  async bytes(command: string, call: KuboCall): Promise<Uint8Array> {
    const { body } = await this.stream(command, call);
    try {
      return await collect(body);
    } catch (cause) {
      if (cause instanceof GitdError) throw cause;
      call.signal.throwIfAborted();
      throw unanswered(cause);
    }
  }

  /** The last of the JSON lines that Kubo answers with. */
  async json(command: string, call: KuboCall): Promise<Readonly<Record<string, unknown>>> {
    const text = Buffer.from(await this.bytes(command, call)).toString();
    const value: unknown = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "null");
    if (typeof value !== "object" || value === null) throw unanswered(undefined);
    return value as Readonly<Record<string, unknown>>;
  }
}

function parameters(query: Readonly<Record<string, string | readonly string[]>>): URLSearchParams {
  return new URLSearchParams(
    Object.entries(query).flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, one]),
    ),
  );
}

async function* form(
  file: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n` +
      "Content-Type: application/octet-stream\r\n\r\n",
  );
  yield* file;
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}

async function refusal(answer: Response): Promise<Error> {
  const text = Buffer.from(await collect(answer.body ?? ReadableStream.from([]))).toString();
  try {
    const { Message } = JSON.parse(text) as { Message?: unknown };
    return new KuboRefusal(typeof Message === "string" ? Message : text);
  } catch (cause) {
    // NOTE: an answer that is not JSON comes from something else at that address.
    return unanswered(new Error(`status ${answer.status}: ${text.slice(0, 200)}`, { cause }));
  }
}

async function collect(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > answerBytesMax) throw new GitdError("too-large", "Kubo's answer is larger than any block");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function unanswered(cause: unknown): GitdError {
  return new GitdError("storage-unavailable", "the Kubo daemon does not answer", {
    fix: "start it, or correct GITD_KUBO_RPC",
    retryAfterSeconds: 5,
    cause,
  });
}
