import { type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";

export interface RawRequest {
  readonly method?: string;
  /** Sent as it is: nothing normalises dots, slashes or escapes. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An array is sent chunked, one chunk for each. */
  readonly body?: Uint8Array | readonly Uint8Array[];
  readonly timeoutMs?: number;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

const timeoutMs = 30_000;

/** One HTTP request exactly as given, on a connection of its own. */
export function rawRequest(origin: string, raw: RawRequest): Promise<RawResponse> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        hostname,
        port,
        method: raw.method ?? "GET",
        path: raw.path,
        headers: raw.headers,
        agent: false,
        signal: AbortSignal.timeout(raw.timeoutMs ?? timeoutMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () => {
          const body = Buffer.concat(chunks);
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, body, text: body.toString() });
        });
      },
    );
    sent.once("error", reject);
    if (raw.body === undefined || raw.body instanceof Uint8Array) {
      sent.end(raw.body);
      return;
    }
    for (const chunk of raw.body) sent.write(chunk);
    sent.end();
  });
}

/** Sends bytes that need not be HTTP and returns what came back until the server closed or went quiet. */
export function rawBytes(origin: string, bytes: string | Uint8Array, quietMs = 2000): Promise<string> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(bytes));
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
    socket.once("error", (error) => (answer === "" ? reject(error) : resolve(answer)));
    socket.once("close", () => resolve(answer));
  });
}

/** One pkt-line; see gitprotocol-common(5). */
export function pkt(text: string | Uint8Array): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from((payload.length + 4).toString(16).padStart(4, "0")), payload]);
}

export const flush = Buffer.from("0000");

/** The commands of a push as git sends them, up to and with the flush; the pack follows. */
export function pushCommands(
  updates: readonly (readonly [old: string, next: string, ref: string])[],
  capabilities = "report-status ofs-delta object-format=sha1",
): Buffer {
  const lines = updates.map(([old, next, ref], at) =>
    pkt(`${old} ${next} ${ref}${at === 0 ? `\0 ${capabilities}` : ""}`),
  );
  return Buffer.concat([...lines, flush]);
}

/** Whether a receive-pack response refuses all that was pushed; its lines carry their length in front. */
export function isRefusal(text: string): boolean {
  return (
    /(?:^|[0-9a-f]{4}|\n)(?:ng |ERR |unpack (?!ok))/.test(text) && !/(?:[0-9a-f]{4}|\n)ok refs\//.test(text)
  );
}
