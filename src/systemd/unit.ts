// Generates the systemd unit: how the relay runs as a service, and its sandbox.

import { ENGINE_OPTIONS } from "#lib/engine.ts";

export const CONFIG_DIRECTORY = "/etc/relay";
export const CREDENTIALS_DIRECTORY = `${CONFIG_DIRECTORY}/credentials`;
export const CONFIG_FILE = `${CONFIG_DIRECTORY}/relay.config.json`;
/** The group that may read the config. It cannot be `relay`: a dynamic user cannot have the name of a group. */
export const CONFIG_GROUP = "relay-config";

/** Set here, so that the program need not replace itself first. */
const ENVIRONMENT = Object.entries(ENGINE_OPTIONS)
  .map(([name, value]) => `${name}=${value}`)
  .join(" ");

/** Variables that load foreign code before the program: they are removed from the environment. */
const FOREIGN_CODE =
  "BUN_OPTIONS BUN_BE_BUN BUN_INSPECT BUN_INSPECT_CONNECT_TO NODE_OPTIONS NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED LD_PRELOAD LD_LIBRARY_PATH";

const SANDBOX = `CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateUsers=yes
PrivateMounts=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
# AF_NETLINK tells the addresses of the host, which subscriptions made by API may not call.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
`;

/**
 * `binary`: absolute. Left out on purpose: MemoryDenyWriteExecute and LimitAS, which disable the engine's compiler and with it
 * systemd notifications; `~@process` and `~@sync`, which the engine and the delivery log need.
 */
export function toUnit({ binary }: { readonly binary: string }): string {
  return `[Unit]
Description=Relay, from NATS JetStream to HTTP callbacks
After=network-online.target nss-lookup.target nats-server.service
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=${binary} run --config ${CONFIG_FILE}
ExecReload=${binary} reload --config ${CONFIG_FILE}
WatchdogSec=30
Restart=always
RestartSec=2
# A wrong config does not get right by itself.
RestartPreventExitStatus=78 2
TimeoutStartSec=60
# Longer drains ask for more.
TimeoutStopSec=40
KillMode=mixed

DynamicUser=yes
SupplementaryGroups=${CONFIG_GROUP}
UMask=0007
WorkingDirectory=/
ConfigurationDirectory=relay
ConfigurationDirectoryMode=0750
StateDirectory=relay
StateDirectoryMode=0700
RuntimeDirectory=relay
RuntimeDirectoryMode=0750
# The file "name" in there is { "credential": "relay_name" } in the config.
LoadCredential=relay:${CREDENTIALS_DIRECTORY}
Environment=${ENVIRONMENT} DO_NOT_TRACK=1
UnsetEnvironment=${FOREIGN_CODE}
LogRateLimitIntervalSec=0

LimitNOFILE=65536
LimitCORE=0
MemoryMax=1G
MemorySwapMax=0
TasksMax=128
OOMPolicy=kill

${SANDBOX}NoExecPaths=/
ExecPaths=${binary} /usr/lib -/lib -/lib64 -/usr/lib64

[Install]
WantedBy=multi-user.target
`;
}
