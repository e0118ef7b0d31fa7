/** What the process ends with; `gitd --help` lists them. */
export const exitCodes = {
  ok: 0,
  /** Refused, or failed. */
  failed: 1,
  /** The command line is not understood. */
  usage: 2,
  /** The server, the chain or the peers do not answer. */
  unreachable: 3,
} as const;
