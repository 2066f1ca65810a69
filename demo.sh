#!/usr/bin/env bash
# Installs what is missing, builds llama-box, fetches a small real model, serves it and shows a first
# streamed answer. Safe to run again: what is done is not done twice.
#   ./demo.sh             serve SmolLM2-135M-Instruct until Ctrl-C
#   ./demo.sh --once      end after the first answer
#   ./demo.sh PATH.gguf   serve another model
# PORT=8080 changes the port.
set -euo pipefail
cd "$(dirname "$0")"

once=false
model=
for argument in "$@"; do
  case "$argument" in
    --once) once=true ;;
    -h|--help) sed -n '2,7s/^# //p' "$0"; exit 0 ;;
    *) model=$argument ;;
  esac
done
port=${PORT:-8080}
question="In one sentence: why is the sky blue?"

echo "== 1/4 Packages"
tools/install_deps build

echo "== 2/4 Build (a few minutes the first time)"
cmake --preset release >build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
rm -f build-configure.log
cmake --build --preset release --target llama-box

echo "== 3/4 Model"
if [ -z "$model" ]; then
  [ -x build/venv/bin/python ] || python3 -m venv build/venv
  build/venv/bin/python tools/get_models.py models smollm2
  model=models/SmolLM2-135M-Instruct.Q4_1.gguf
fi
echo "$model"

echo "== 4/4 Serve"
log=build/demo.log
build/release/llama-box -m "$model" --host 127.0.0.1 --port "$port" >"$log" 2>&1 &
server=$!
trap 'kill -TERM $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
python3 - "$port" "$server" "$question" <<'PYTHON' || { cat "$log"; exit 1; }
import json, os, sys, time, urllib.request

port, server, question = sys.argv[1], int(sys.argv[2]), sys.argv[3]
url = f"http://127.0.0.1:{port}"
while True:
    try:
        os.kill(server, 0)
    except ProcessLookupError:
        sys.exit("the server ended before it was ready; its log says why")
    try:
        with urllib.request.urlopen(url + "/health", timeout=2) as reply:
            if reply.status == 200:
                break
    except OSError:
        time.sleep(0.1)
body = {"messages": [{"role": "user", "content": question}], "stream": True, "max_tokens": 80, "temperature": 0}
request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(),
                                 {"Content-Type": "application/json"})
print(f"\nYou:   {question}\nModel: ", end="", flush=True)
with urllib.request.urlopen(request, timeout=120) as reply:
    for line in reply:
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:])["choices"]:
                print(choice["delta"].get("content") or "", end="", flush=True)
print(f"\n\nOpenAI API: {url}/v1\nWeb page:   {url}/")
PYTHON
if ! $once; then
  echo "Ctrl-C ends the server. Its log ($log):"
  tail -n +1 -f --pid="$server" "$log"
  wait $server
fi
