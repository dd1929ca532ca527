# A Batuta worker in Python: BATUTA_WORKER_COMMAND="python3 docs/examples/worker-full.py"
import json, os, sys, threading, time

lock, running, draining = threading.Lock(), {}, threading.Event()
beat = int(os.environ.get("BATUTA_HEARTBEAT_MS", "1000")) / 2000


def send(**line):
    with lock:
        print(json.dumps(line), flush=True)


def heartbeats():
    while True:
        time.sleep(beat)
        send(op="heartbeat")


def greet(payload, cancelled):
    if cancelled.wait(payload.get("waitMs", 0) / 1000):
        raise RuntimeError("given up: " + cancelled.reason)
    return {"greeting": "Hello, " + payload["name"]}


def run(task):
    try:
        send(op="progress", id=task["id"], percent=50, message="greeting")
        outcome = dict(op="result", result=greet(task["payload"], running[task["id"]]))
    except Exception as error:
        outcome = dict(op="error", message=str(error), retryable=True)
    del running[task["id"]]
    send(id=task["id"], **outcome)
    exit_if_drained()


def exit_if_drained():
    if draining.is_set() and not running:
        os._exit(0)


send(op="ready", protocol=1, types=["greet"], concurrency=4)
threading.Thread(target=heartbeats, daemon=True).start()
for text in sys.stdin:
    line = json.loads(text)
    if line["op"] == "task":
        running[line["id"]] = threading.Event()
        threading.Thread(target=run, args=(line,), daemon=True).start()
    elif line["op"] == "cancel" and line["id"] in running:
        running[line["id"]].reason = line["reason"]
        running[line["id"]].set()
    elif line["op"] == "drain":
        draining.set()
        exit_if_drained()
os._exit(0)  # the pool is gone
