#!/usr/bin/env python3
"""Writes a model again with all its matrices in one simple type: more models to serve at once.

    bench/scenarios/requantize.py IN.gguf OUT.gguf q8_0|f16|bf16|q4_0

Needs: pip install gguf numpy. Not a quantizer to ship models with: it starts from what IN.gguf has left.
"""

import sys

import gguf
import numpy as np
from gguf.quants import dequantize, quantize


def copy_metadata(reader, writer):
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_array(key, field.contents())
        else:
            writer.add_key_value(key, field.contents(), kind)


def main():
    source, target, name = sys.argv[1:]
    kind = gguf.GGMLQuantizationType[name.upper()]
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents())
    copy_metadata(reader, writer)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if len(tensor.shape) < 2:
            writer.add_tensor(tensor.name, values.astype(np.float32))
        else:
            writer.add_tensor(tensor.name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
