export interface Variable {
  readonly name: string;
  readonly fallback: string;
  readonly meaning: string;
  readonly secret?: boolean;
}

/** Every variable that the server reads, in the order in which `gitd config` shows them. */
export const variables = [
  { name: "GITD_HOST", fallback: "127.0.0.1", meaning: "address to listen on" },
  { name: "GITD_PORT", fallback: "8417", meaning: "port to listen on; 0 takes a free one" },
  {
    name: "GITD_ORIGIN",
    fallback: "",
    meaning: "public URLs, comma-separated, when they differ from http://HOST:PORT",
  },
  { name: "GITD_DATA", fallback: ".gitd", meaning: "folder that holds everything" },
  { name: "GITD_FRONTS", fallback: "", meaning: "HTTP processes; one for each core unless set" },
  { name: "GITD_LOG_LEVEL", fallback: "warn", meaning: "trace, debug, info, warn, error or silent" },
  {
    name: "GITD_DATABASE_URL",
    fallback: "",
    meaning: "PostgreSQL URL; SQLite in GITD_DATA unless set",
    secret: true,
  },
  { name: "GITD_KUBO_RPC", fallback: "", meaning: "Kubo RPC URL; embedded Helia unless set" },
  {
    name: "GITD_CHAIN_RPC",
    fallback: "",
    meaning: "EVM JSON-RPC URL; embedded chain unless set",
    secret: true,
  },
  {
    name: "GITD_CHAIN_PORT",
    fallback: "0",
    meaning: "port of the embedded chain on 127.0.0.1; 0 takes a free one",
  },
  {
    name: "GITD_CHAIN_CONFIRMATIONS",
    fallback: "",
    meaning: "blocks until a transaction is final: 0 embedded, 12 external unless set",
  },
  { name: "GITD_REGISTRY", fallback: "", meaning: "ProvenanceRegistry address; needed with GITD_CHAIN_RPC" },
  { name: "GITD_ACCESS_BOND", fallback: "", meaning: "AccessBond address; needed with GITD_CHAIN_RPC" },
  {
    name: "GITD_BATCH_WINDOW_MS",
    fallback: "",
    meaning: "how long pushes gather into one batch: 1000 embedded, 60000 external unless set",
  },
  {
    name: "GITD_POLL_MS",
    fallback: "",
    meaning: "how often the chain is read: 250 embedded, 4000 external unless set",
  },
  {
    name: "GITD_IPFS_LISTEN",
    fallback: "/ip4/127.0.0.1/tcp/0",
    meaning: "libp2p addresses of the IPFS node, comma-separated",
  },
  {
    name: "GITD_IPFS_PEERS",
    fallback: "",
    meaning: "IPFS peers to stay connected to, comma-separated multiaddrs",
  },
  {
    name: "GITD_PACK_BYTES_MAX",
    fallback: String(8n << 30n),
    meaning: "largest pack that a push may bring, in bytes",
  },
  { name: "GITD_DRAIN_MS", fallback: "30000", meaning: "how long a stop waits for running requests" },
] as const satisfies readonly Variable[];
