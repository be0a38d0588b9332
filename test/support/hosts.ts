// Hosts of a test: relays that are killed and started again, each on a directory of its own.

import { type LogLine, type RelayProcess, startRelay, temporaryDirectory } from "./relay.ts";

type Json = Readonly<Record<string, unknown>>;

export interface Host {
  readonly name: string;
  readonly directory: string;
  readonly relay: RelayProcess;
  /** Of all relays that ran here. */
  readonly logs: readonly LogLine[];
  /** One that differs from the one before. */
  nextConfig: () => Json;
  /** Once it has ended. */
  restart: () => Promise<void>;
}

/** `configOf` makes the config of a host from the number of its edits. They end with `stack`. */
export function startHosts(
  stack: AsyncDisposableStack,
  { count, configOf }: { count: number; configOf: (version: number) => Json },
): Promise<readonly Host[]> {
  const starting = Array.from({ length: count }, async (_, index): Promise<Host> => {
    const directory = stack.use(await temporaryDirectory()).path;
    let version = 0;
    const earlier: LogLine[] = [];
    let relay = await startRelay({ config: configOf(version), directory });
    stack.defer(() => relay[Symbol.asyncDispose]());
    return {
      name: `relay-${index + 1}`,
      directory,
      get relay() {
        return relay;
      },
      get logs() {
        return [...earlier, ...relay.logs];
      },
      nextConfig() {
        version += 1;
        return configOf(version);
      },
      async restart() {
        await relay.exited;
        earlier.push(...relay.logs);
        relay = await startRelay({ config: configOf(version), directory });
      },
    };
  });
  return Promise.all(starting);
}
