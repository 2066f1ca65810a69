"""Logits out of llama.cpp as the `xllamacpp` wheel holds it (its shared object exports the C API),
so that it can be measured beside us on the same token ids. CPU only, its own default settings.

Structures are passed by value, so their sizes must not be too small: they are padded, and only the
leading fields that are used are named.
"""

import ctypes as c
import glob
import importlib.metadata
import importlib.util
import os

import numpy as np

_PADDING = 512  # bytes; more than the fields that are not named take


class _ModelParams(c.Structure):
    _fields_ = [("rest", c.c_uint8 * _PADDING)]


class _ContextParams(c.Structure):
    _fields_ = [("n_ctx", c.c_uint32), ("n_batch", c.c_uint32), ("n_ubatch", c.c_uint32),
                ("n_seq_max", c.c_uint32), ("n_rs_seq", c.c_uint32), ("n_outputs_max", c.c_uint32),
                ("n_outputs_max_per_seq", c.c_uint32), ("n_threads", c.c_int32),
                ("n_threads_batch", c.c_int32), ("rest", c.c_uint8 * _PADDING)]


class _Batch(c.Structure):
    _fields_ = [("n_tokens", c.c_int32), ("token", c.POINTER(c.c_int32)),
                ("embd", c.POINTER(c.c_float)), ("pos", c.POINTER(c.c_int32)),
                ("n_seq_id", c.POINTER(c.c_int32)),
                ("seq_id", c.POINTER(c.POINTER(c.c_int32))), ("logits", c.POINTER(c.c_int8))]


_LOG = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)


def version():
    return f"xllamacpp {importlib.metadata.version('xllamacpp')}"


def _load_library():
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None:
        raise RuntimeError("llama.cpp is not here: pip install --no-deps xllamacpp")
    importlib.import_module("xllamacpp")  # resolves what the object needs of Python
    lib = c.CDLL(glob.glob(os.path.join(os.path.dirname(spec.origin), "*.so"))[0])
    pointer = c.c_void_p
    for name, result, arguments in [
            ("llama_model_default_params", _ModelParams, []),
            ("llama_context_default_params", _ContextParams, []),
            ("llama_model_load_from_file", pointer, [c.c_char_p, _ModelParams]),
            ("llama_init_from_model", pointer, [pointer, _ContextParams]),
            ("llama_model_get_vocab", pointer, [pointer]),
            ("llama_vocab_n_tokens", c.c_int32, [pointer]),
            ("llama_vocab_get_add_bos", c.c_bool, [pointer]),
            ("llama_vocab_bos", c.c_int32, [pointer]),
            ("llama_tokenize", c.c_int32, [pointer, c.c_char_p, c.c_int32, c.POINTER(c.c_int32),
                                           c.c_int32, c.c_bool, c.c_bool]),
            ("llama_batch_init", _Batch, [c.c_int32, c.c_int32, c.c_int32]),
            ("llama_batch_free", None, [_Batch]),
            ("llama_decode", c.c_int32, [pointer, _Batch]),
            ("llama_get_logits", c.POINTER(c.c_float), [pointer]),
            ("llama_get_memory", pointer, [pointer]),
            ("llama_memory_clear", None, [pointer, c.c_bool]),
            ("llama_log_set", None, [_LOG, pointer]),
            ("llama_print_system_info", c.c_char_p, []),
            ("llama_free", None, [pointer]),
            ("llama_model_free", None, [pointer])]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class LlamaCpp:
    """One model and one context: `sequences` of `context` tokens each, at most `batch` in one batch
    (default: all of a context)."""

    def __init__(self, path, context=512, threads=None, sequences=1, batch=None):
        self._lib = lib = _load_library()
        self._quiet = _LOG(lambda level, text, data: None)
        lib.llama_log_set(self._quiet, None)
        self._model = lib.llama_model_load_from_file(os.fsencode(path),
                                                     lib.llama_model_default_params())
        if not self._model:
            raise RuntimeError(f"{path}: llama.cpp cannot load it")
        params = lib.llama_context_default_params()
        # The fields before n_threads have moved between versions: know them by their defaults.
        if (params.n_batch, params.n_ubatch, params.n_seq_max) != (2048, 512, 1) or \
                params.n_threads not in range(1, 1025) or \
                params.n_threads_batch != params.n_threads:
            raise RuntimeError(f"{version()}: llama_context_params is laid out differently")
        batch = batch or context
        params.n_ctx = context * sequences
        params.n_batch = params.n_ubatch = batch
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads or os.cpu_count()
        self._context = lib.llama_init_from_model(self._model, params)
        if not self._context:
            raise RuntimeError(f"{path}: llama.cpp cannot make a context of {context} tokens")
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.vocab_size = lib.llama_vocab_n_tokens(self._vocab)
        self.bos = lib.llama_vocab_bos(self._vocab)
        self.adds_bos = lib.llama_vocab_get_add_bos(self._vocab)
        self._batch = lib.llama_batch_init(batch, 0, 1)

    def tokenize(self, text):
        """With BOS where the model wants one; special tokens' texts are text."""
        data = text.encode()
        size = len(data) + 8
        ids = (c.c_int32 * size)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), ids, size, True, False)
        return list(ids[:count])

    def system_info(self):
        return self._lib.llama_print_system_info().decode()

    def clear(self):
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), True)

    def run(self, ids, position, all_logits, sequence=0):
        """The ids from `position` on; logits of all of them or of the last one only."""
        last = len(ids) - 1
        return self._decode((token, position + i, sequence, all_logits or i == last)
                            for i, token in enumerate(ids))

    def step(self, ids, position):
        """One token for each of the sequences 0, 1, ..., all at `position`; logits of all."""
        return self._decode((token, position, sequence, True) for sequence, token in enumerate(ids))

    def _decode(self, rows):
        """Rows of (token, position, sequence, logits wanted)."""
        batch = self._batch
        batch.n_tokens = 0
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = int(wanted)
            batch.n_tokens = i + 1
        status = self._lib.llama_decode(self._context, batch)
        if status != 0:
            raise RuntimeError(f"llama_decode returned {status}")
        return self._lib.llama_get_logits(self._context)

    def logits(self, ids):
        """[len(ids), vocab_size] f32, of the ids run alone from position 0."""
        self.clear()
        rows = self.run(ids, 0, all_logits=True)
        return np.ctypeslib.as_array(rows, (len(ids), self.vocab_size)).copy()

    def close(self):
        self._lib.llama_batch_free(self._batch)
        self._lib.llama_free(self._context)
        self._lib.llama_model_free(self._model)
