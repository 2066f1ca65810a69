"""The virtual environment with GPUStack, and what stands in for the programs it would download."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build" / "release")) / "llama-box"
MODELS = pathlib.Path(os.environ.get("LLAMABOX_MODELS", ROOT / "models"))
MODEL = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"
VENV = ROOT / "build" / "gpustack-venv"
WORK = ROOT / "build" / "gpustack"
GPUSTACK = "0.5.1"  # drives llama-box as 0.4 to 0.7 do; 0.6 and 0.7 are heavier
# What this GPUStack takes for its own downloads, by its worker/tools_manager.py.
VERSIONS = {"llama-box": "v0.0.117", "gguf-parser": "v0.13.16", "fastfetch": "2.25.0.1"}

# GPUStack takes a host that has a CUDA toolkit for one with a GPU, and its worker then fails
# without nvidia-smi. The copy in our environment is told that there is none.
NO_GPU = '''

def device() -> str:  # set by llama-box's test
    return ""
'''


def _python():
    """One that GPUStack 0.5.1 can run on."""
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return sys.executable
    for name in ("python3.11", "python3.12", "python3.10"):
        if shutil.which(name):
            return shutil.which(name)
    sys.exit("GPUStack 0.5.1 needs Python 3.10, 3.11 or 3.12")


def _installed(python):
    code = "import importlib.metadata as m; print(m.version('gpustack')); import openai"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return found.returncode == 0 and found.stdout.strip() == GPUSTACK


def _package():
    """Where GPUStack lies in the environment."""
    return next((VENV / "lib").glob("python3.*")) / "site-packages" / "gpustack"


def _put(source, place, link=False):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if link:
        place.symlink_to(source.resolve())
    else:
        shutil.copy(source, place)
        place.chmod(0o755)


def prepare():
    """The environment's Python, everything in place."""
    for needed in (BINARY, MODEL):
        if not needed.exists():
            sys.exit(f"{needed} is missing (LLAMABOX_BUILD, LLAMABOX_MODELS)")
    python = VENV / "bin" / "python"
    if not (python.exists() and _installed(python)):
        shutil.rmtree(VENV, ignore_errors=True)
        print(f"installing gpustack {GPUSTACK} in {VENV}", flush=True)
        subprocess.run([_python(), "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                        f"gpustack=={GPUSTACK}", "openai"], check=True)
    package = _package()
    platform = package / "utils" / "platform.py"
    if NO_GPU not in platform.read_text():
        platform.write_text(platform.read_text() + NO_GPU)
    # Tools of the right version are not downloaded. Ours is the llama-box, the others are scripts
    # that answer what GPUStack asks them.
    tools = package / "third_party" / "bin"
    _put(BINARY, tools / "llama-box" / "llama-box", link=True)
    for name in ("gguf-parser", "fastfetch"):
        _put(pathlib.Path(__file__).parent / "tools" / name, tools / name / name)
    (tools / "versions.json").write_text(json.dumps(VERSIONS))
    return python
