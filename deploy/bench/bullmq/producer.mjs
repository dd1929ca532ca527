import { Queue } from "bullmq";
import { connection, fail, hear, now, payload, quantile, queueName, say, spec } from "./pipe.mjs";

const priorities = { high: 1, low: 10 };
const queue = new Queue(queueName, { connection });
const options = spec.priority ? { priority: priorities[spec.priority] } : {};
const name = "bench";

let next = 0;
const calls = [];

async function producer() {
  const size = spec.mode === "bulk" ? spec.batch : 1;
  for (;;) {
    const from = next;
    next += size;
    if (from >= spec.tasks) return;
    const at = now();
    if (size === 1) {
      await queue.add(name, payload(spec.first + from, at), options);
    } else {
      const jobs = [];
      for (let n = from; n < Math.min(from + size, spec.tasks); n++) jobs.push({ name, data: payload(spec.first + n, at), opts: options });
      await queue.addBulk(jobs);
    }
    calls.push(Number(now() - at) / 1e6);
  }
}

async function load() {
  const from = now();
  await Promise.all(Array.from({ length: spec.producers }, producer));
  say("done", { from, to: now(), callsMs: [quantile(calls, 0.5), quantile(calls, 0.99)] });
}

let step = spec.first;
async function one() {
  const from = now();
  await queue.add(name, payload(step++, from), options);
  say("done", { from, to: now() });
}

await queue.waitUntilReady().catch(fail);
hear(
  (op) => (op === "go" ? load() : one()).catch(fail),
  () => process.exit(0),
);
say("ready");
