"""Starts the llama-box program that this package carries."""

import os
import pathlib
import sys

PROGRAM = pathlib.Path(__file__).resolve().parent / "bin" / "llama-box"


def main():
    # In place of this process, so that signals and the exit code are the program's own.
    os.execv(PROGRAM, [str(PROGRAM), *sys.argv[1:]])
