// How a process speaks with the benchmark: see internal/role of this module.
import { createInterface } from "node:readline";
import { mkdirSync } from "node:fs";

export const spec = JSON.parse(process.argv.at(-1));
export const now = () => process.hrtime.bigint();
export const queueName = "bench";

const [host, port] = spec.addr.split(":");
// Workers wait on Redis for longer than a command may take otherwise.
export const connection = { host, port: Number(port), maxRetriesPerRequest: null };

// Numbers of the clock are larger than JavaScript's: they are written as digits.
export const say = (op, fields = {}) => {
  const parts = Object.entries(fields).map(([k, v]) => `,${JSON.stringify(k)}:${typeof v === "bigint" ? v : JSON.stringify(v)}`);
  process.stdout.write(`{"op":${JSON.stringify(op)}${parts.join("")}}\n`);
};

export const hear = (handle, gone) => {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (text) => handle(JSON.parse(text).op));
  lines.on("close", gone);
};

export const fail = (error) => {
  say("error", { error: String(error?.stack ?? error) });
  process.exit(1);
};

export const makeFolder = (name) => mkdirSync(name, { recursive: true });

export const size = 100;

export const payload = (n, at) => {
  const p = { n, t: String(at), x: "" };
  p.x = "x".repeat(size - JSON.stringify(p).length);
  return p;
};

export const quantile = (values, q) => {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(Math.max(Math.ceil(q * sorted.length), 1), sorted.length) - 1];
};
