// What the kernel says of a process.

export interface ProcessReading {
  /** User and system time so far. */
  readonly cpuMicros: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
}

/** Of `/proc/<pid>/stat`: hundredths of a second on every Linux that Relay runs on. */
const MICROS_PER_TICK = 10_000;

export async function readProcess(pid: number): Promise<ProcessReading> {
  const stat = await Bun.file(`/proc/${pid}/stat`).text();
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = await Bun.file(`/proc/${pid}/status`).text();
  const bytesOf = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  return {
    cpuMicros: (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK,
    residentBytes: bytesOf("VmRSS"),
    peakBytes: bytesOf("VmHWM"),
  };
}
