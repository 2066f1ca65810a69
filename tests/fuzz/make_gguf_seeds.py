"""Makes the seeds of fuzz_gguf (tests/fuzz/seeds/gguf) with the `gguf` package: small files that
between them hold every value type, every tensor type and a changed alignment. two_names.gguf is
not made here: a fuzzer found it (two unprintable names in one error message)."""
import pathlib

import gguf
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / "seeds" / "gguf"
QUANTISED = ["BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
             "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def values(path):
    w = gguf.GGUFWriter(path, "llama")
    w.add_uint8("a", 1)
    w.add_int8("b", -1)
    w.add_uint16("c", 2)
    w.add_int16("d", -2)
    w.add_uint32("e", 3)
    w.add_int32("f", -3)
    w.add_float32("g", 0.5)
    w.add_uint64("h", 4)
    w.add_int64("i", -4)
    w.add_float64("j", 0.25)
    w.add_bool("k", True)
    w.add_string("l", "text")
    w.add_array("m", ["a", "bc", "def"])
    w.add_array("n", [1, 2, 3])
    w.add_array("o", [0.5, 1.5])
    w.add_array("p", [True, False])
    finish(w)


def tensors(path, alignment):
    w = gguf.GGUFWriter(path, "llama")
    w.add_custom_alignment(alignment)
    w.add_tensor("f32", np.ones((2, 3), np.float32))
    w.add_tensor("f16", np.ones((2, 1, 3, 2), np.float16))
    for name in QUANTISED:
        qtype = gguf.GGMLQuantizationType[name]
        block_bytes = gguf.GGML_QUANT_SIZES[qtype][1]
        w.add_tensor(name.lower(), np.arange(block_bytes, dtype=np.uint8).reshape(1, -1),
                     raw_dtype=qtype)
    finish(w)


FOLDER.mkdir(parents=True, exist_ok=True)
values(FOLDER / "values.gguf")
tensors(FOLDER / "tensors.gguf", 8)
tensors(FOLDER / "aligned.gguf", 64)
