import { type Logger as PinoLogger, pino } from "pino";

export type Logger = PinoLogger;

/** One JSON line per event on stderr; what could hold a credential is cut out by name. */
export function openLog(room: string, level: string): Logger {
  return pino(
    {
      level,
      base: { room },
      redact: {
        paths: [
          "*.authorization",
          "headers.authorization",
          "grant",
          "password",
          "passphrase",
          "*.grant",
          "*.password",
        ],
        censor: "[redacted]",
      },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
