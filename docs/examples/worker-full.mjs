// A Batuta worker in Node: BATUTA_WORKER_COMMAND="node docs/examples/worker-full.mjs"
import { createInterface } from "node:readline";

const send = (line) => process.stdout.write(JSON.stringify(line) + "\n");
send({ op: "ready", protocol: 1, types: ["greet"], concurrency: 4 });
setInterval(() => send({ op: "heartbeat" }), Number(process.env.BATUTA_HEARTBEAT_MS ?? 1000) / 2);

const running = new Map();
let draining = false;

async function run({ id, payload }) {
  const abort = new AbortController();
  running.set(id, abort);
  try {
    send({ op: "progress", id, percent: 50, message: "greeting" });
    const result = await greet(payload, abort.signal);
    send({ op: "result", id, result });
  } catch (error) {
    send({ op: "error", id, message: error.message, retryable: true });
  }
  running.delete(id);
  if (draining && running.size === 0) process.exit(0);
}

function greet({ name, waitMs = 0 }, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve({ greeting: `Hello, ${name}` }), waitMs);
    signal.onabort = () => (clearTimeout(timer), reject(new Error(`given up: ${signal.reason}`)));
  });
}

createInterface({ input: process.stdin })
  .on("line", (text) => {
    const line = JSON.parse(text);
    if (line.op === "task") run(line);
    if (line.op === "cancel") running.get(line.id)?.abort(line.reason);
    if (line.op === "drain") (draining = true) && running.size === 0 && process.exit(0);
  })
  .on("close", () => process.exit(0)); // the pool is gone
