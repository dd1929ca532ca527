import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "bullmq";
import { connection, fail, hear, makeFolder, now, queueName, say, spec } from "./pipe.mjs";

const entrySize = 4 + 3 * 8;
const file = join(spec.ledger, `${spec.atOnce ? "starts" : "all"}-${process.pid}.ledger`);
const book = Buffer.alloc((spec.expect + Math.ceil(spec.expect / 10) + 1000) * entrySize);
let written = 0;

function write(buffer, at, n, submitted, started, ended) {
  buffer.writeUInt32LE(n, at);
  buffer.writeBigInt64LE(submitted, at + 4);
  buffer.writeBigInt64LE(started, at + 12);
  buffer.writeBigInt64LE(ended, at + 20);
}

async function handle({ data: { n, t } }) {
  const submitted = BigInt(t);
  const started = now();
  if (spec.atOnce) {
    const entry = Buffer.alloc(entrySize);
    write(entry, 0, n, submitted, started, 0n);
    appendFileSync(file, entry);
  }
  if (spec.taskUs > 0) await pause(spec.taskUs / 1000);
  const ended = now();
  write(book, written++ * entrySize, n, submitted, started, ended);
  if (written === spec.expect) say("done", { at: ended });
  if (spec.echo) say("start", { from: submitted, at: started });
}

function save() {
  if (!spec.atOnce) writeFileSync(file, book.subarray(0, written * entrySize));
  say("saved");
}

makeFolder(spec.ledger);
const worker = new Worker(queueName, handle, { connection, concurrency: spec.slots });
worker.on("error", fail);
await worker.waitUntilReady().catch(fail);
hear(
  (op) => op === "save" && save(),
  () => process.exit(0),
);
say("ready");
