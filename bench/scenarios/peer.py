"""llama.cpp's server beside ours: the one that the `xllamacpp` wheel carries, in a process of its own,
or the program that LLAMA_SERVER names (a build for a GPU, say), all layers on the GPU where it has one.

    peer.py '{"model": "A.gguf", "port": 8081, "ctx": 4096, "parallel": 6, "threads": 2,
              "batch": null, "embedding": false}'

Needs: pip install xllamacpp. All settings that are not named are the wheel's, and so llama.cpp's,
defaults; the cache is unified (`-kvu`), since divided slots would refuse longer requests outright.
"""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys

from common import Server, free_port, llama_box


PROGRAM = os.environ.get("LLAMA_SERVER")


def version():
    if PROGRAM:
        ran = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True)
        words = [line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("version")]
        return f"llama.cpp's server, {' '.join(words)}"
    return f"llama.cpp's server, xllamacpp {importlib.metadata.version('xllamacpp')}"


def program(model, ctx, parallel, *flags, name="llama.cpp"):
    """LLAMA_SERVER with these flags."""
    port = free_port()
    return Server(name, [PROGRAM, "-m", model, "--port", port, "-c", ctx, "-np", parallel, "-ngl", "99",
                         "-fa", "on", "-fit", "off", *flags], port)


def llama_cpp(model, ctx, parallel, threads=None, batch=None, embedding=False):
    if PROGRAM:
        return program(model, ctx, parallel, "-kvu", "-t", threads or os.cpu_count(),
                       *(["-b", batch] if batch else []), *(["--embedding"] if embedding else []))
    settings = {"model": str(model), "port": free_port(), "ctx": ctx, "parallel": parallel,
                "threads": threads or os.cpu_count(), "batch": batch, "embedding": embedding}
    return Server("llama.cpp", [sys.executable, __file__, json.dumps(settings)], settings["port"])


def side_by_side(stack, args, ctx, parallel):
    """Ours and, unless --no-peer was given, llama.cpp's server; they live as long as `stack`."""
    servers = [stack.enter_context(llama_box(args.model, "-c", ctx, "--threads", args.threads))]
    if not args.no_peer:
        print(version())
        servers.append(stack.enter_context(llama_cpp(args.model, ctx, parallel, args.threads)))
    return servers


def serve(settings):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.port = settings["port"]
    params.n_ctx = settings["ctx"]
    params.n_parallel = settings["parallel"]
    params.kv_unified = True
    params.n_gpu_layers = 0
    params.fit_params = False  # it would change the context that was asked for
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    if settings["batch"]:
        params.n_batch = settings["batch"]
    params.embedding = settings["embedding"]
    server = xllamacpp.Server(params)  # noqa: F841  it serves as long as it lives
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # its destructor would wait for the answers that are under way


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(json.loads(sys.argv[1]))
