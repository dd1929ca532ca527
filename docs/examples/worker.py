import json, os, sys, threading, time
lock, running = threading.Lock(), []
def send(**line):
    with lock: print(json.dumps(line), flush=True)
def greet(task):
    try: send(op="result", id=task["id"], result={"greeting": "Hello, " + task["payload"]["name"]})
    except Exception as error: send(op="error", id=task["id"], message=repr(error))
def heartbeats():
    while True: time.sleep(int(os.environ["BATUTA_HEARTBEAT_MS"]) / 2000); send(op="heartbeat")
def drain():
    for task in running: task.join()
    os._exit(0)
send(op="ready", protocol=1, types=["greet"])
threading.Thread(target=heartbeats, daemon=True).start()
for line in map(json.loads, sys.stdin):
    if line["op"] == "task": running.append(threading.Thread(target=greet, args=[line])); running[-1].start()
    if line["op"] == "drain": threading.Thread(target=drain).start()
os._exit(0)  # stdin is closed: the pool is gone
