#!/usr/bin/env python3
"""Makes a wheel of an installed llama-box: the program, its libraries, and a command that starts it.

Usage: build.py TREE OUT      TREE as `cmake --install` leaves it (bin, lib, share)
Needs Python and objdump (binutils), no network. The same tree gives the same bytes.
"""
import base64
import hashlib
import pathlib
import platform
import re
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATE = (2020, 1, 1, 0, 0, 0)


def needed_glibc(files):
    """The newest version of glibc that one of these programs and libraries asks for, as (2, 36)."""
    newest = (2, 17)
    for file in files:
        symbols = subprocess.run(["objdump", "-T", str(file)], capture_output=True, text=True, check=True).stdout
        for match in re.finditer(r"GLIBC_(\d+)\.(\d+)", symbols):
            newest = max(newest, (int(match[1]), int(match[2])))
    return newest


def main():
    tree, out = map(pathlib.Path, sys.argv[1:])
    version = re.search(r"project\(llama-box VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    # Of a library and the link that programs look for, the link's name; a wheel has no links.
    libraries = sorted((tree / "lib").rglob("*.so*"))
    linked = {path.resolve() for path in libraries if path.is_symlink()}
    binaries = [tree / "bin" / "llama-box", *(path for path in libraries if path.is_symlink() or path.resolve() not in linked)]
    major, minor = needed_glibc(binaries)
    tag = f"py3-none-manylinux_{major}_{minor}_{platform.machine()}"
    info = f"llama_box-{version}.dist-info"
    readme = (ROOT / "README.md").read_text()

    files = [("llama_box/__init__.py", (HERE / "llama_box.py").read_bytes(), 0o644),
             ("llama_box/__main__.py", b"from llama_box import main\n\nmain()\n", 0o644)]
    files += [(f"llama_box/{path.relative_to(tree)}", path.read_bytes(), 0o755) for path in binaries]
    for path in sorted((tree / "share" / "doc" / "llama-box").rglob("*")):
        if path.is_file():
            files.append((f"{info}/licenses/{path.relative_to(tree / 'share/doc/llama-box')}", path.read_bytes(), 0o644))
    files += [
        (f"{info}/METADATA", (f"Metadata-Version: 2.1\nName: llama-box\nVersion: {version}\n"
                              "Summary: An inference server for language models: GGUF in, OpenAI API out\n"
                              "License: MIT\nRequires-Python: >=3.8\n"
                              "Description-Content-Type: text/markdown\n\n" + readme).encode(), 0o644),
        (f"{info}/WHEEL", (f"Wheel-Version: 1.0\nGenerator: llama-box\nRoot-Is-Purelib: false\nTag: {tag}\n").encode(), 0o644),
        (f"{info}/entry_points.txt", b"[console_scripts]\nllama-box = llama_box:main\n", 0o644),
    ]
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data, _ in files)
    files.append((f"{info}/RECORD", (record + f"{info}/RECORD,,\n").encode(), 0o644))

    target = out / f"llama_box-{version}-{tag}.whl"
    with zipfile.ZipFile(target, "w") as wheel:
        for name, data, mode in files:
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    print(f"wheel: {target}")


main()
