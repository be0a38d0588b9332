// The connections of a subscription: as many as are needed at once, the last one used first.

import { onDescriptorFault } from "#lib/descriptors.ts";
import { type Connection, type ConnectionSettings, createConnection } from "./connection.ts";

export interface Slots {
  /** To be given back. Nothing is connected before it is used. */
  readonly take: () => Connection;
  readonly giveBack: (connection: Connection) => void;
  readonly openConnections: number;
  /** Ends the connections that nobody has taken; the others when they are given back. */
  readonly close: () => void;
}

/** `maxFree`: how many are kept while nobody uses them. */
export function createSlots(settings: ConnectionSettings, { maxFree }: { readonly maxFree: number }): Slots {
  /** The last one given back is the first one taken, so that those not needed become idle and close. */
  const free: Connection[] = [];
  const connections = new Set<Connection>();
  let isClosed = false;
  const unfollow = onDescriptorFault(dropFree);

  function dropFree(): void {
    for (const connection of free.splice(0)) drop(connection);
  }

  function drop(connection: Connection): void {
    connection.drop();
    connections.delete(connection);
  }

  return {
    take() {
      const known = free.pop();
      if (known !== undefined) return known;
      const connection = createConnection(settings);
      connections.add(connection);
      return connection;
    },
    giveBack(connection) {
      if (!isClosed && free.length < maxFree) free.push(connection);
      else drop(connection);
    },
    get openConnections() {
      return [...connections].filter((connection) => connection.isOpen).length;
    },
    close() {
      isClosed = true;
      unfollow();
      dropFree();
    },
  };
}
