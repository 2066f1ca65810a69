"""A running GPUStack, its admin API, and the engines it started."""

import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import httpx

from environment import MODEL, WORK

PASSWORD = "a-Password-1"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, found, seconds=120, every=0.2):
    """The first true value of found()."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(every)
    raise RuntimeError(f"{what}: not within {seconds} s")


class Engine:
    """A llama-box that GPUStack started: `instance` is what GPUStack says about it."""

    def __init__(self, model, instance, log):
        self.model, self.instance, self._log = model, instance, log
        self.url = f"http://127.0.0.1:{instance['port']}"
        # GPUStack's pid is that of the process it put around the engine.
        children = pathlib.Path(f"/proc/{instance['pid']}/task/{instance['pid']}/children")
        (pid,) = children.read_text().split()
        self.pid = int(pid)
        self.command = self._proc("cmdline").decode().split("\0")[:-1]

    def _proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_bytes()

    def log(self):
        return self._log.read_text(errors="replace")

    def alive(self):
        try:
            return b"\nState:\tZ" not in self._proc("status")
        except OSError:
            return False

    def peak_memory(self):
        """Bytes of memory that were in use at the worst time."""
        for line in self._proc("status").decode().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"engine {self.pid} is gone")


class GpuStack:
    def __init__(self):
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        self._data = WORK / "data"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "NO_PROXY": "127.0.0.1,localhost", "HF_HUB_OFFLINE": "1"}
        with open(WORK / "gpustack.log", "wb") as log:
            # One process group, so that nothing can remain.
            self._process = subprocess.Popen(
                [pathlib.Path(sys.executable).parent / "gpustack", "start", "--host", "127.0.0.1",
                 "--port", str(port), "--worker-ip", "127.0.0.1", "--worker-name", "worker",
                 "--worker-port", str(free_port()), "--data-dir", self._data,
                 "--log-dir", WORK / "log", "--bootstrap-password", PASSWORD,
                 "--force-auth-localhost", "--disable-rpc-servers", "--disable-metrics",
                 "--disable-update-check"],
                stdout=log, stderr=log, env=environment, start_new_session=True)
        self._admin = httpx.Client(base_url=self.url, timeout=60)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self):
        wait_for("GPUStack's start", self._healthy)
        self._admin.post("/auth/login", data={"username": "admin", "password": PASSWORD}
                         ).raise_for_status()
        wait_for("GPUStack's worker", lambda: any(
            worker["state"] == "ready" for worker in self._items("/v1/workers")))

    def _healthy(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"GPUStack ended:\n{(WORK / 'gpustack.log').read_text()[-2000:]}")
        try:
            return self._admin.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def _get(self, path, **params):
        return self._admin.get(path, params=params).raise_for_status().json()

    def _items(self, path, **params):
        return self._get(path, perPage=100, **params)["items"]

    def version_folder(self):
        """Where GPUStack looks for engines of other versions than its own."""
        folder = self._data / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def deploy(self, name, *parameters, **more):
        """The engine of a new model, running. One at a time: GPUStack draws ports at random and
        does not see that another instance is about to take the same."""
        model = self._admin.post("/v1/models", json={
            "name": name, "source": "local_path", "local_path": str(MODEL.resolve()), "replicas": 1,
            "backend": "llama-box", "categories": ["llm"], "cpu_offloading": True,
            "backend_parameters": list(parameters), **more}).raise_for_status().json()

        def running():
            for instance in self._items("/v1/model-instances", model_id=model["id"]):
                if instance["state"] == "error":
                    raise RuntimeError(f"{name}: {instance['state_message']}")
                if instance["state"] == "running":
                    return instance
            return None

        # An instance that finds no worker ready is placed at the next turn, 180 s later.
        instance = wait_for(f"an instance of {name}", running, seconds=300)
        return Engine(model, instance, WORK / "log" / "serve" / f"{instance['id']}.log")

    def model(self, engine):
        return self._get(f"/v1/models/{engine.model['id']}")

    def remove(self, engine):
        self._admin.delete(f"/v1/models/{engine.model['id']}").raise_for_status()

    def api_key(self, name):
        reply = self._admin.post("/v1/api-keys", json={"name": name}).raise_for_status()
        return reply.json()["value"]

    def recorded_usage(self, engine):
        """Requests, prompt tokens and completion tokens that GPUStack has on its account."""
        with sqlite3.connect(f"file:{self._data}/database.db?mode=ro", uri=True) as database:
            return database.execute(
                "select coalesce(sum(request_count), 0), coalesce(sum(prompt_token_count), 0), "
                "coalesce(sum(completion_token_count), 0) from model_usages where model_id = ?",
                (engine.model["id"],)).fetchone()

    def stop(self):
        """Whether all ended by itself; what has not is killed."""
        self._admin.close()
        self._process.terminate()
        try:
            self._process.wait(20)
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        return ended
