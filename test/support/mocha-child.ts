import Mocha from "mocha";
import { type SuiteOutcome, type SuitePlan, suitePlan } from "./suite.ts";

/** Runs test files in this process. Nothing forces an exit: a test that leaves a socket or timer open is found out. */
async function main(plan: SuitePlan): Promise<void> {
  const mocha = new Mocha({
    reporter: "spec",
    timeout: plan.timeoutMs,
    slow: plan.timeoutMs / 4,
    forbidOnly: true,
    color: process.stdout.isTTY,
  });
  for (const file of plan.files) mocha.addFile(file);
  await mocha.loadFilesAsync();
  let passed = 0;
  const failed: string[] = [];
  const skipped: string[] = [];
  const outcome = await new Promise<SuiteOutcome>((resolve) => {
    const runner = mocha.run(() => resolve({ passed, failed, skipped }));
    runner.on("pass", () => (passed += 1));
    runner.on("fail", (test) => failed.push(test.fullTitle()));
    runner.on("pending", (test) => skipped.push(test.fullTitle()));
  });
  process.send?.(outcome);
  process.disconnect?.();
}

await main(suitePlan.parse(JSON.parse(process.argv[2] ?? "")));
