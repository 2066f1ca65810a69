"""What the scenarios share: starting a server, asking it, reading its metrics, naming the machine.

LLAMABOX_BUILD (default build/release) has the binary, LLAMABOX_MODELS (default models) the models.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import platform
import random
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build" / "release")) / "llama-box"
MODELS = pathlib.Path(os.environ.get("LLAMABOX_MODELS", ROOT / "models"))
SMOLLM2 = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
BLOCK = 16  # tokens of a block, docs/contracts/kv.md


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text[:200]}")
        self.status = status


class Server:
    """One process that serves at `url` as soon as the constructor returns."""

    def __init__(self, name, command, port, environment=None):
        self.name, self.port, self.url = name, port, f"127.0.0.1:{port}"
        self._log = tempfile.NamedTemporaryFile(prefix="scenario-", suffix=".log")
        self.process = subprocess.Popen([str(word) for word in command], stdout=self._log,
                                        stderr=self._log, env=environment)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, seconds=300):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")
            with contextlib.suppress(OSError, Refused, http.client.HTTPException):
                get(self.url, "/health", timeout=5)
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} is not ready after {seconds} s:\n{self.log()}")

    def log(self):
        return pathlib.Path(self._log.name).read_text(errors="replace")

    def rss(self):
        """Bytes of memory that the process holds."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{self.name} is gone")

    def cpu_seconds(self):
        """Processor time of its threads: steadier than the clock on a busy machine."""
        process = pathlib.Path(f"/proc/{self.process.pid}")
        files = list(process.glob("task/*/schedstat"))
        if not files:  # a kernel without these figures: hundredths of a second
            user, system = (process / "stat").read_text().rsplit(")", 1)[1].split()[11:13]
            return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        return sum(int(file.read_text().split()[0]) for file in files) * 1e-9

    def stop(self):
        """The exit code; a process that does not end by itself within 20 s is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def llama_box(model, *flags):
    port = free_port()
    return Server("llama-box", [BINARY, "-m", model, "--port", port, *flags], port)


def _exchange(url, method, path, body, headers, timeout):
    connection = http.client.HTTPConnection(url, timeout=timeout)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        text = reply.read().decode(errors="replace")
    finally:
        connection.close()
    if reply.status != 200:
        raise Refused(reply.status, text)
    return text


def get(url, path, timeout=30):
    return _exchange(url, "GET", path, None, {}, timeout)


def post(url, path, body, timeout=3600):
    return json.loads(_exchange(url, "POST", path, json.dumps(body),
                                {"Content-Type": "application/json"}, timeout))


def stream(url, path, body, timeout=3600):
    """The events of a streamed answer, each with the seconds since the request was sent."""
    connection = http.client.HTTPConnection(url, timeout=timeout)
    try:
        start = time.perf_counter()
        connection.request("POST", path, json.dumps({**body, "stream": True}),
                           {"Content-Type": "application/json"})
        reply = connection.getresponse()
        if reply.status != 200:
            raise Refused(reply.status, reply.read().decode(errors="replace"))
        for line in reply:
            if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                yield time.perf_counter() - start, json.loads(line[6:])
    finally:
        connection.close()


def metrics(url):
    """Values by name; a name with labels is spelled as in the text: `name{label="value"}`."""
    lines = (line.rsplit(" ", 1) for line in get(url, "/metrics").splitlines()
             if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def pauses(url):
    return int(metrics(url)["vllm:num_preemptions_total"])


def leaked_blocks(url, seconds=5):
    """Blocks still in use when nobody is answered any more.

    The last event of an answer leaves the engine before the figures of that step do, hence the patience.
    """
    deadline = time.monotonic() + seconds
    while True:
        now = metrics(url)
        used = int(now['llamabox:kv_blocks{state="used"}'])
        busy = now["vllm:num_requests_running"] + now["vllm:num_requests_waiting"]
        if (used == 0 and busy == 0) or time.monotonic() > deadline:
            return used
        time.sleep(0.05)


def token_ids(url, text):
    return post(url, "/tokenize", {"content": text, "add_special": False})["tokens"]


WORDS = ("river lamp clock engine garden letter window bridge market violin harbour compass "
         "winter saddle copper orchard signal mirror tunnel basket").split()


def notes(seed, facts):
    """Text that no other seed begins with; a fact is about a dozen tokens."""
    rng = random.Random(seed)
    lines = [f"The {rng.choice(WORDS)} number {rng.randrange(1000)} stands behind the "
             f"{rng.choice(WORDS)}." for _ in range(facts)]
    return f"Notebook {seed}. " + " ".join(lines)


def exact_prompt(url, seed, tokens):
    """A prompt of exactly so many tokens, as ids of this server's model."""
    ids = token_ids(url, notes(seed, tokens // 8 + 2))
    if len(ids) < tokens:
        raise RuntimeError(f"only {len(ids)} of {tokens} tokens")
    return ids[:tokens]


def blocks_up(tokens):
    """Tokens rounded up to whole blocks."""
    return -(-tokens // BLOCK) * BLOCK


def at_once(function, items):
    """The results in order; all calls begin together."""
    items = list(items)
    with concurrent.futures.ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(function, items))


def machine():
    """One line that says where and under what load a figure was taken."""
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    names = [line.split(":")[1].strip() for line in cpuinfo.splitlines()
             if line.startswith("model name")]
    return (f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, "
            f"load average {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d %H:%M')}")


def plot(path, *draws):
    """Calls each draw(axes) with axes of its own, side by side, and writes the figure."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, all_axes = pyplot.subplots(1, len(draws), figsize=(8 if len(draws) == 1 else 11, 4.5),
                                       dpi=110, squeeze=False)
    for draw, axes in zip(draws, all_axes[0]):
        draw(axes)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"wrote {path}")
