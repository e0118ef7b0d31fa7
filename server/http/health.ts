import type { Express, Request, Response } from "express";
import type { Registry } from "prom-client";

/** Something that must work for the server to serve; resolves, or throws the reason why not. */
interface ReadyCheck {
  readonly name: string;
  readonly check: () => Promise<void>;
}

export interface HealthParts {
  readonly metrics: Registry;
  readonly checks: readonly ReadyCheck[];
  /** True once a stop was asked for: load balancers then look elsewhere. */
  readonly isStopping: () => boolean;
  readonly checkMs: number;
}

/** `/healthz`: the process runs. `/readyz`: all it depends on answers. `/metrics`: Prometheus text. */
export function addHealthRoutes(app: Express, parts: HealthParts): void {
  app.get("/healthz", (_request: Request, response: Response) => {
    response.type("text/plain").send("ok\n");
  });
  app.get("/readyz", async (_request: Request, response: Response) => {
    const results = await Promise.all(parts.checks.map((check) => outcome(check, parts.checkMs)));
    if (parts.isStopping()) results.push({ name: "server", ok: false, reason: "stopping" });
    const ready = results.every((result) => result.ok);
    response
      .status(ready ? 200 : 503)
      .set("cache-control", "no-store")
      .json({ ready, checks: results });
  });
  app.get("/metrics", async (_request: Request, response: Response) => {
    response.type(parts.metrics.contentType).send(await parts.metrics.metrics());
  });
}

interface CheckOutcome {
  readonly name: string;
  readonly ok: boolean;
  readonly reason?: string;
}

async function outcome({ name, check }: ReadyCheck, limitMs: number): Promise<CheckOutcome> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([check(), late]);
    return { name, ok: true };
  } catch (error) {
    return { name, ok: false, reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
