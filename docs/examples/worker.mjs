import { createInterface } from "node:readline";
const greet = async ({ name }) => ({ greeting: `Hello, ${name}` });
const send = (line) => process.stdout.write(JSON.stringify(line) + "\n");
let running = 0, draining = false;
send({ op: "ready", protocol: 1, types: ["greet"] });
setInterval(() => send({ op: "heartbeat" }), process.env.BATUTA_HEARTBEAT_MS / 2);
createInterface({ input: process.stdin }).on("close", () => process.exit(0)).on("line", async (text) => {
  const { op, id, payload } = JSON.parse(text);
  if (op === "task" && ++running) {
    await greet(payload).then((result) => send({ op: "result", id, result }), (e) => send({ op: "error", id, message: e.message }));
    running--;
  }
  if ((draining ||= op === "drain") && running === 0) process.exit(0);
});
