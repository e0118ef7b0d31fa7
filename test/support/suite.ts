import { z } from "zod";

/** What the runner asks of a group's own process. */
export const suitePlan = z.object({ files: z.array(z.string()), timeoutMs: z.number() });
export type SuitePlan = z.infer<typeof suitePlan>;

/** What that process tells the runner: its outcome, once. */
export const suiteOutcome = z.object({
  passed: z.number(),
  failed: z.array(z.string()),
  skipped: z.array(z.string()),
});
export type SuiteOutcome = z.infer<typeof suiteOutcome>;
