import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { OpenRepositories } from "../flows/open-repo.ts";
import type { Turns } from "../flows/turns.ts";

const secondsBuckets = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 600];

/** What the doors and flows of a front count; every name starts with `gitd_`. */
export class ServerMetrics {
  readonly registry: Registry;
  readonly #requests: Counter<"door" | "status">;
  readonly #seconds: Histogram<"door">;
  readonly #pushes: Counter<"outcome">;
  readonly #reads: Counter<"complete">;
  readonly #readBytes: Counter;

  constructor(registry: Registry) {
    this.registry = registry;
    const registers = [registry];
    this.#requests = new Counter({
      name: "gitd_http_requests_total",
      help: "Finished HTTP requests by door and status",
      labelNames: ["door", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "gitd_http_request_seconds",
      help: "Time from a request's headers to the end of its response",
      labelNames: ["door"],
      buckets: secondsBuckets,
      registers,
    });
    this.#pushes = new Counter({
      name: "gitd_pushes_total",
      help: "Pushes by outcome: recorded, refused, or nothing to do",
      labelNames: ["outcome"],
      registers,
    });
    this.#reads = new Counter({
      name: "gitd_reads_total",
      help: "Clones and fetches that sent objects, by whether they were sent to the end",
      labelNames: ["complete"],
      registers,
    });
    this.#readBytes = new Counter({
      name: "gitd_read_bytes_total",
      help: "Pack bytes handed to clients",
      registers,
    });
  }

  finished(door: string, status: number, seconds: number): void {
    this.#requests.inc({ door, status: String(status) });
    this.#seconds.observe({ door }, seconds);
  }

  push(outcome: "recorded" | "refused" | "nothing"): void {
    this.#pushes.inc({ outcome });
  }

  read(bytesSent: bigint, complete: boolean): void {
    this.#reads.inc({ complete: String(complete) });
    this.#readBytes.inc(Number(bytesSent));
  }

  /** Adds gauges that are read when they are asked for. */
  watch({ turns, repositories }: { readonly turns: Turns; readonly repositories: OpenRepositories }): void {
    this.#gauge("gitd_upload_pack_running", "git upload-pack processes", () => turns.running);
    this.#gauge("gitd_upload_pack_waiting", "Fetches waiting for a process", () => turns.waiting);
    this.#gauge("gitd_ref_table_bytes", "Memory of ref tables, about", () => repositories.tableBytes);
  }

  #gauge(name: string, help: string, read: () => number): void {
    const registered: Gauge = new Gauge({
      name,
      help,
      registers: [],
      collect: (): void => registered.set(read()),
    });
    this.registry.registerMetric(registered);
  }
}
