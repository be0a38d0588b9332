// Exposes what the process uses (CPU, memory, files), under the usual names of Prometheus clients.

import { readdirSync } from "node:fs";
import { Counter, type Registry } from "prom-client";
import { COMMIT, VERSION } from "#lib/version.ts";
import { exposeGauge } from "./gauges.ts";

const MICROSECONDS = 1_000_000;

export function exposeProcess(registers: Registry[], host: string): void {
  const startedAt = Date.now() / 1000 - process.uptime();
  void new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time used, by the system for the process included",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / MICROSECONDS);
    },
  });
  const gauge = (name: string, help: string, read: () => number | null) =>
    exposeGauge(registers, {
      name,
      help,
      labels: [],
      collect(own) {
        const value = read();
        if (value !== null) own.set(value);
      },
    });
  gauge("process_resident_memory_bytes", "Memory in use", () => process.memoryUsage.rss());
  gauge("process_start_time_seconds", "When the process started, in seconds since 1970", () => startedAt);
  gauge("process_open_fds", "Open files and sockets", countOpenFiles);
  exposeGauge(registers, {
    name: "relay_build_info",
    help: "1, with the version, the commit and `host.name`",
    labels: ["version", "commit", "host"],
    collect: (own) => own.set({ version: VERSION, commit: COMMIT, host }, 1),
  });
}

/** null: the system does not tell. */
function countOpenFiles(): number | null {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return null;
  }
}
