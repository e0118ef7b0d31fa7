import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { GitdError } from "../domain/errors.ts";
import type { ForwardParts } from "./forward.ts";
import { forward } from "./forward.ts";
import { type GatewayParts, isGatewayPath, serveGateway } from "./gateway.ts";
import { gitRouteOf, serveGit } from "./git.ts";
import type { GitDoorParts } from "./git-context.ts";
import { type HealthParts, addHealthRoutes } from "./health.ts";
import { type Door, asRefusal, refuse, statusOfCode } from "./respond.ts";

export interface AppParts {
  readonly git: GitDoorParts;
  readonly gateway: GatewayParts;
  readonly health: Omit<HealthParts, "isStopping">;
  /** Adds the API's routes below `/api`. */
  readonly addApi: (app: Express) => void;
  readonly forward: ForwardParts;
  /** Paths that the node process answers. */
  readonly forwarded: readonly string[];
  /** Told of every request that failed on the server's side. */
  readonly onError: (error: unknown, request: { readonly method: string; readonly path: string }) => void;
  /** Told of every finished request, for the metrics. */
  readonly onFinish: (door: string, status: number, seconds: number) => void;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Several processes share the port. */
  readonly reusePort: boolean;
  /** How long a stop waits for running requests before it breaks them off. */
  readonly drainMs: number;
}

/** A listening front. */
export interface Front {
  readonly port: number;
  /** Takes no new requests, finishes the running ones, and breaks off what takes longer than the limit. */
  stop(): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const keepAliveMs = 75_000;
const headersMs = 60_000;
const headerBytesMax = 32 * 1024;
const headersMax = 100;
/** Between the end of the drain and the end of the process' patience with requests that were aborted. */
const abortMs = 1_000;

/** Starts to listen. Requests have no time limit of their own: a push may take hours. */
export async function startFront(parts: AppParts, options: ListenOptions): Promise<Front> {
  const stopping = new AbortController();
  const broken = new AbortController();
  const handle = createHandler(parts, stopping.signal, broken.signal);
  const server = createServer({ maxHeaderSize: headerBytesMax }, handle);
  // NOTE: with this listener Node leaves it to the door to say `100 Continue`, or to refuse before the body is sent.
  server.on("checkContinue", handle);
  server.requestTimeout = 0;
  server.headersTimeout = headersMs;
  server.keepAliveTimeout = keepAliveMs;
  server.maxHeadersCount = headersMax;
  server.timeout = 0;
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      stopping.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const timers = [
        setTimeout(() => broken.abort(new GitdError("cancelled", "the server stops")), options.drainMs),
        setTimeout(() => server.closeAllConnections(), options.drainMs + abortMs),
      ];
      await closed;
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

function listen(server: Server, { host, port, reusePort }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, reusePort }, () => resolve());
  });
}

/** The door for each request; express serves the small ones, Git and the gateway stream past it. */
function createHandler(parts: AppParts, stopping: AbortSignal, broken: AbortSignal): Handler {
  const app = createExpress(parts, () => stopping.aborted);
  return (request, response) => {
    const startedAt = performance.now();
    const { door, serve } = doorOf(parts, app, request);
    const left = new AbortController();
    if (stopping.aborted) response.setHeader("connection", "close");
    response.once("close", () => {
      left.abort(new GitdError("cancelled", "the client left"));
      if (stopping.aborted) request.socket.end();
      parts.onFinish(door, response.statusCode, (performance.now() - startedAt) / 1000);
    });
    const signal = AbortSignal.any([left.signal, broken]);
    serve(request, response, signal).catch((error: unknown) => {
      report(parts, error, request);
      refuse(response, error, door);
    });
  };
}

interface ChosenDoor {
  readonly door: Door;
  readonly serve: (request: IncomingMessage, response: ServerResponse, signal: AbortSignal) => Promise<void>;
}

function doorOf(parts: AppParts, app: Express, request: IncomingMessage): ChosenDoor {
  const target = request.url ?? "/";
  const path = target.split("?", 1)[0] ?? "/";
  const route = gitRouteOf(target);
  if (route !== undefined) {
    return {
      door: route.door,
      serve: (incoming, response, signal) => serveGit(parts.git, route, incoming, response, signal),
    };
  }
  if (isGatewayPath(path)) {
    return {
      door: "gateway",
      serve: (incoming, response, signal) => serveGateway(parts.gateway, incoming, response, signal),
    };
  }
  if (parts.forwarded.includes(path)) {
    return {
      door: "api",
      serve: async (incoming, response, signal) => {
        continueIfAsked(incoming, response);
        await forward(parts.forward, incoming, response, signal);
      },
    };
  }
  return {
    door: "api",
    serve: async (incoming, response) => {
      continueIfAsked(incoming, response);
      app(incoming, response);
    },
  };
}

function continueIfAsked(request: IncomingMessage, response: ServerResponse): void {
  if (/100-continue/i.test(request.headers.expect ?? "")) response.writeContinue();
}

function createExpress(parts: AppParts, isStopping: () => boolean): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  addHealthRoutes(app, { ...parts.health, isStopping });
  parts.addApi(app);
  app.use((request: Request) => {
    throw new GitdError("not-found", `there is nothing at ${request.path.slice(0, 200)}`, {
      fix: "a repository's address is http://<host>/<namespace>/<name>.git",
    });
  });
  // NOTE: express tells an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    const known = fromExpress(error);
    report(parts, known, request);
    refuse(response, known, "api");
  });
  return app;
}

/** Errors of express' own body parsing carry a status; they are the client's. */
function fromExpress(error: unknown): unknown {
  if (!(error instanceof Error) || !("status" in error) || typeof error.status !== "number") return error;
  if (error.status === 413)
    return new GitdError("too-large", "the request body is too large", { cause: error });
  return error.status < 500
    ? new GitdError("invalid", "the request cannot be read", { cause: error })
    : error;
}

function report(parts: AppParts, error: unknown, request: IncomingMessage): void {
  if (statusOfCode(asRefusal(error).code) < 500) return;
  parts.onError(error, { method: request.method ?? "", path: (request.url ?? "").split("?", 1)[0] ?? "" });
}
