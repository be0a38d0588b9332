// Version and commit of this build: `build.ts` writes both into the binary.

declare const BUILD_VERSION: string;
declare const BUILD_COMMIT: string;

export const VERSION = typeof BUILD_VERSION === "undefined" ? "0.0.0-dev" : BUILD_VERSION;
export const COMMIT = typeof BUILD_COMMIT === "undefined" ? "unknown" : BUILD_COMMIT;
