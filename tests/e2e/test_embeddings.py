"""Embeddings and reranking over HTTP: their numbers against numpy, their limits, their forms; case
26 of our collection (inputs of every length and kind) among them."""

import base64
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from conftest import BINARY, ROOT, SMOLLM2
from http_api import GREEDY, TEXT, chat, content, ok, post, request, tokens

sys.path.insert(0, str(pathlib.Path(ROOT) / "tests" / "reference"))

from reference_encoder import ReferenceEncoder, pool  # noqa: E402
from reference_model import ReferenceModel  # noqa: E402
from tiny_encoders import TINY_CONTEXT, add_score_head, write_bert, write_gemma  # noqa: E402
from tiny_models import MODELS as TINY_MODELS, VOCAB, write  # noqa: E402

PATH = "/v1/embeddings"
LIMIT = 512  # positions of MiniLM
TEXTS = ["hello world", "The quick brown fox jumps over the lazy dog.", "a", "北京 is a city, naïvely.",
         "def f(x):\n    return x + 1", "Unaffable!? \t tokens##", "word " * 120]


def vectors(server, inputs, **more):
    data = ok(server, PATH, {"input": inputs, **more})["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    return np.array([item["embedding"] for item in data], np.float32)


def whole(server, text):
    """The tokens of a text with the marks around it."""
    return tokens(server, text, add_special=True)


def words(count):
    """A text of so many tokens, [CLS] and [SEP] among them."""
    return " ".join(["word"] * (count - 2))


@pytest.fixture(scope="module")
def minilm(serve_module, models):
    return serve_module("--embeddings", model=models("all-MiniLM-L6-v2.f16.gguf"))


@pytest.fixture(scope="module")
def ranker(serve_module, models, tmp_path_factory):
    model = tmp_path_factory.mktemp("ranker") / "rank.gguf"
    add_score_head(models("all-MiniLM-L6-v2.f16.gguf"), model)
    one = serve_module("--rerank", model=model)
    one.model = model
    return one


# ---- the numbers

@pytest.mark.parametrize("kind", ["f32", "f16", "q8_0"])
def test_minilm_is_the_reference(kind, models, start_server):
    model = models(f"all-MiniLM-L6-v2.{kind}.gguf")
    server = start_server(model=model)
    reference = ReferenceEncoder(str(model))
    got = vectors(server, TEXTS)
    for text, vector in zip(TEXTS, got):
        want = reference.vector(whole(server, text))
        assert vector @ want > 0.99999, text
        assert abs(np.linalg.norm(vector) - 1) < 1e-5


@pytest.mark.parametrize("name, make", [
    ("bert", write_bert), ("bert-cls", lambda path: write_bert(path, pooling=2)),
    ("nomic-bert", lambda path: write_bert(path, "nomic-bert")), ("gemma-embedding", write_gemma),
    # ... whose dense layers end at the width they began with, as EmbeddingGemma's do
    ("gemma-embedding-wide", lambda path: write_gemma(path, dense=64))])
def test_tiny_encoders_are_the_reference(name, make, start_server, tmp_path):
    model = tmp_path / f"{name}.gguf"
    make(model)
    server = start_server("-c", 64, "-b", 16, model=model)  # a text is longer than a step is asked to be
    reference = ReferenceEncoder(str(model))
    rng = np.random.default_rng(1)
    ids = [rng.integers(3, VOCAB, n).tolist() for n in (1, 2, 17, 40, 64)]
    wants = [reference.vector(one) for one in ids]
    for vector, want in zip(vectors(server, ids), wants):
        np.testing.assert_allclose(vector, want, atol=2e-5)
    assert abs(wants[1] @ wants[2]) < 0.999, "the model says nothing"
    assert post(server, PATH, {"input": [ids[-1] + [3]]})[0] == 400  # -c is the limit


def test_outliers_cost_a_quantised_encoder_nothing(start_server, tmp_path):
    """Rounded to 8 bits beside an outlier, the other activations would have few steps left: a cosine of
    0.9965 here, of 0.992 in a text of nine tokens with EmbeddingGemma."""
    model = tmp_path / "outliers.gguf"
    write_gemma(model, quantised=True)
    reference = ReferenceEncoder(str(model))
    rng = np.random.default_rng(4)
    ids = [rng.integers(3, VOCAB, n).tolist() for n in (1, 2, 9, 40)]
    server = start_server(model=model)
    got = vectors(server, ids)
    for one, vector in zip(ids, got):
        assert vector @ reference.vector(one) > 0.99999, len(one)
        assert np.array_equal(vectors(server, [one])[0], vector)


def test_the_whole_context_of_a_window_model(start_server, tmp_path):
    """Far beyond the window, so that a wrong one would show."""
    model = tmp_path / "gemma.gguf"
    write_gemma(model)
    reference = ReferenceEncoder(str(model))
    ids = np.random.default_rng(2).integers(3, VOCAB, TINY_CONTEXT).tolist()
    want = reference.vector(ids)
    server = start_server(model=model)
    np.testing.assert_allclose(vectors(server, ids)[0], want, atol=2e-5)
    reference.window += 2
    assert np.abs(reference.vector(ids) - want).max() > 1e-4


def test_pooling_over_a_decoder(start_server, tmp_path):
    spec = next(one for one in TINY_MODELS if one.name == "qwen3")
    model = tmp_path / "qwen3.gguf"
    write(spec, model)
    ids = np.random.default_rng(3).integers(3, VOCAB, 150).tolist()
    states = ReferenceModel(str(model)).hidden(ids)
    for pooling in ("mean", "last", "cls"):
        server = start_server("-ctk", "f32", "-ctv", "f32", "--pooling", pooling, model=model)
        want = pool(states, pooling)
        got = vectors(server, [ids, ids[:20]])[0]
        np.testing.assert_allclose(got, want / np.linalg.norm(want), atol=2e-5)
        # In chunks of a small step, after a prefix that is cached.
        small = start_server("-ctk", "f32", "-ctv", "f32", "--pooling", pooling, "-b", 16,
                             model=model)
        vectors(small, ids[:100])
        assert np.array_equal(vectors(small, ids)[0], got)


# ---- the same bytes

def test_a_vector_does_not_depend_on_its_neighbours(minilm):
    alone = [vectors(minilm, text)[0] for text in TEXTS]
    many = vectors(minilm, TEXTS * 20)
    for i, vector in enumerate(many):
        assert np.array_equal(vector, alone[i % len(TEXTS)])
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        for got in clients.map(lambda k: vectors(minilm, TEXTS[k:] + TEXTS[:k]), range(7)):
            assert {v.tobytes() for v in got} == {v.tobytes() for v in alone}


def test_chat_and_embeddings_share_a_model(start_server):
    """Answers are the same bytes beside embeddings, and end although those go on."""
    server = start_server("-c", 4096, "--embeddings")
    prompt = {"prompt": "The capital of France is", "max_tokens": 24, **GREEDY}
    alone = ok(server, TEXT, prompt)["choices"][0]["text"]
    texts = [f"text {i} " + "word " * 60 for i in range(60)]
    one = vectors(server, texts[5])[0]
    done = threading.Event()

    def embed():
        got = vectors(server, texts)
        done.set()
        return got

    with concurrent.futures.ThreadPoolExecutor(1) as pool_of_one:
        others = pool_of_one.submit(embed)
        while not done.is_set():
            assert ok(server, TEXT, prompt)["choices"][0]["text"] == alone
        assert np.array_equal(others.result()[5], one)
    assert content(chat(server, "hi", max_tokens=4)) is not None


# ---- inputs

def test_c26_lengths(minilm):
    for count in (3, 511, 512):
        text = words(count)
        assert len(whole(minilm, text)) == count
        reply = ok(minilm, PATH, {"input": text})
        assert reply["usage"] == {"prompt_tokens": count, "total_tokens": count}
        assert len(reply["data"][0]["embedding"]) == 384
    for count in (513, 5000):
        status, reply = post(minilm, PATH, {"input": ["fine", words(count)]})
        error = reply["error"]
        assert status == 400 and error["param"] == "input"
        assert error["code"] == "context_length_exceeded"
        assert (error["n_prompt_tokens"], error["n_ctx"]) == (count, LIMIT)
        assert "input[1]" in error["message"] and str(count) in error["message"]
        cut = ok(minilm, PATH, {"input": words(count), "truncate": True})
        assert cut["usage"]["prompt_tokens"] == LIMIT
        assert np.array_equal(np.float32(cut["data"][0]["embedding"]), vectors(minilm, words(512))[0])


def test_c26_kinds(minilm):
    hello = vectors(minilm, "hello")[0]
    assert np.array_equal(vectors(minilm, whole(minilm, "hello"))[0], hello)
    two = vectors(minilm, [[101, 7592, 102], [101, 102]])
    assert np.array_equal(two[0], hello) and len(two) == 2
    assert np.array_equal(vectors(minilm, ["a", ""])[1], two[1])  # "" is [CLS] [SEP]
    assert len(vectors(minilm, [101, "hello", 102])) == 1  # llama.cpp's mixed form
    assert len(vectors(minilm, [f"text {i}" for i in range(300)])) == 300
    for bad in ([], [[]], [101, 10**9], [101, -1], [[101], [30522]], 5, {}, None, [True], [1.5],
                ["a", None], [101, None]):
        status, reply = post(minilm, PATH, {"input": bad})
        assert status == 400 and reply["error"]["param"] == "input", (bad, reply)
    assert post(minilm, PATH, {})[0] == 400


def test_c26_forms(minilm):
    full = vectors(minilm, "hello")[0]
    coded = ok(minilm, PATH, {"input": "hello", "encoding_format": "base64"})["data"][0]["embedding"]
    assert np.array_equal(np.frombuffer(base64.b64decode(coded), "<f4"), full)
    short = vectors(minilm, "hello", dimensions=64)[0]
    np.testing.assert_allclose(short, full[:64] / np.linalg.norm(full[:64]), atol=1e-6)
    for bad in ({"dimensions": 10000}, {"dimensions": 0}, {"encoding_format": "int8"},
                {"embd_normalize": -2}, {"truncate": "yes"}):
        status, reply = post(minilm, PATH, {"input": "hello", **bad})
        assert status == 400 and reply["error"]["param"] == next(iter(bad)), reply
    raw = vectors(minilm, "hello", embd_normalize=-1)[0]
    np.testing.assert_allclose(raw / np.linalg.norm(raw), full, atol=1e-6)
    np.testing.assert_allclose(np.abs(vectors(minilm, "hello", embd_normalize=1)[0]).sum(), 1, 1e-5)
    assert np.abs(vectors(minilm, "hello", embd_normalize=0)[0]).max() == 32760


def test_llama_cpps_own_form(minilm, start_server):
    full = vectors(minilm, "hello")[0]
    for path, field in (("/embedding", "content"), ("/embeddings", "input")):
        reply = ok(minilm, path, {field: ["hello", "b"]})
        assert [item["index"] for item in reply] == [0, 1]
        assert np.array_equal(np.float32(reply[0]["embedding"]), full[None])
    each = start_server("--pooling", "none", model=minilm_of(minilm))
    rows = ok(each, "/embedding", {"content": "hello"})[0]["embedding"]
    assert np.shape(rows) == (3, 384)
    mean = np.mean(rows, axis=0)
    np.testing.assert_allclose(mean / np.linalg.norm(mean), full, atol=1e-5)
    assert post(each, PATH, {"input": "hello"})[0] == 400


def minilm_of(server):
    return request(server, "GET", "/props")[1]["model_path"]


def test_more_texts_than_may_wait(start_server, models):
    """The queue holds 1024; no text is refused, and the time grows as their number does."""
    server = start_server(model=models("all-MiniLM-L6-v2.q8_0.gguf"))
    texts = [f"{i}" for i in range(3000)]
    got = vectors(server, texts)
    assert np.array_equal(got[2999], vectors(server, "2999")[0])


# ---- what a model cannot do

def test_an_encoder_does_not_chat(minilm):
    for path, body in (("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
                       ("/v1/completions", {"prompt": "hi"}), ("/completion", {"prompt": "hi"})):
        status, reply = post(minilm, path, body)
        assert status == 400 and reply["error"]["code"] == "unsupported"
        assert "vectors" in reply["error"]["message"]
    assert post(minilm, "/v1/rerank", {"query": "q", "documents": ["d"]})[0] == 400


def test_commands_that_need_answers_refuse_an_encoder(models, tmp_path):
    text = tmp_path / "text"
    text.write_text("word " * 600)
    model = models("all-MiniLM-L6-v2.q8_0.gguf")
    for words in (["perplexity", "-m", model, "-f", text], ["bench", "-m", model],
                  ["run", "-m", model, "hello"]):
        done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "vectors" in done.stdout + done.stderr, done


def test_a_decoder_embeds_only_when_asked_to(server):
    status, reply = post(server, PATH, {"input": "hello"})
    assert status == 400 and "--embeddings" in reply["error"]["message"]


@pytest.mark.parametrize("flags", [["--rerank"], ["--pooling", "rank"]])
def test_c26_no_score_head_no_start(flags, models):
    for model in (models("all-MiniLM-L6-v2.f16.gguf"), SMOLLM2):
        done = subprocess.run([BINARY, "-m", model, "--port", "0", *flags], capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "no score head" in done.stdout + done.stderr


# ---- reranking

QUERY = "What is a panda?"
DOCUMENTS = ["hi", "it is a bear", "The giant panda is a bear species endemic to China.",
             "Paris is the capital of France.", "word " * 100]


def scores(server, **more):
    reply = ok(server, "/v1/rerank", {"query": QUERY, "documents": DOCUMENTS, **more})
    return reply["results"]


def test_rerank_is_the_reference(ranker):
    reference = ReferenceEncoder(str(ranker.model))
    query = tokens(ranker, QUERY)
    total = 0
    want = []
    for document in DOCUMENTS:
        ids = [101, *query, 102, *tokens(ranker, document), 102]
        total += len(ids)
        want.append(float(reference.vector(ids)[0]))
    for result in scores(ranker, normalize=False):
        assert abs(result["relevance_score"] - want[result["index"]]) < 1e-3
    for result in scores(ranker):
        assert abs(result["relevance_score"] - 1 / (1 + np.exp(-want[result["index"]]))) < 1e-3
    usage = ok(ranker, "/v1/rerank", {"query": QUERY, "documents": DOCUMENTS})["usage"]
    assert usage == {"prompt_tokens": total, "total_tokens": total}


def test_c26_rerank(ranker):
    best = scores(ranker)
    assert [r["relevance_score"] for r in best] == sorted((r["relevance_score"] for r in best),
                                                          reverse=True)
    assert sorted(r["index"] for r in best) == [0, 1, 2, 3, 4]
    assert all(r["document"]["text"] == DOCUMENTS[r["index"]] for r in best)
    assert all(0 < r["relevance_score"] < 1 for r in best)
    assert scores(ranker, top_n=2) == best[:2] and scores(ranker, top_n=9) == best
    assert scores(ranker, top_n=0) == []
    objects = [{"text": text} for text in DOCUMENTS]
    assert scores(ranker, documents=objects) == best
    assert all("document" not in r for r in scores(ranker, return_documents=False))
    for path in ("/rerank", "/reranking", "/v1/reranking"):
        assert ok(ranker, path, {"query": QUERY, "documents": DOCUMENTS})["results"] == best
    texts = {"query": QUERY, "texts": DOCUMENTS, "return_text": True}  # as Text Embeddings Inference is asked
    assert ok(ranker, "/rerank", texts) == [
        {"index": r["index"], "score": r["relevance_score"], "text": r["document"]["text"]} for r in best]
    for bad in ({"top_n": -1}, {"query": ""}, {"query": None}, {"documents": []},
                {"documents": None}, {"documents": ["a", 5]}, {"documents": [{}]}):
        status, reply = post(ranker, "/v1/rerank", {"query": QUERY, "documents": DOCUMENTS, **bad})
        assert status == 400 and reply["error"]["param"] == next(iter(bad)), reply
    long = {"documents": ["fine", words(600)]}
    status, reply = post(ranker, "/v1/rerank", {"query": QUERY, **long})
    assert status == 400 and "documents[1]" in reply["error"]["message"]
    assert len(scores(ranker, truncate=True, **long)) == 2
    assert post(ranker, PATH, {"input": "a"})[0] == 400


def test_a_tiny_ranker_is_the_reference(start_server, tmp_path):
    model = tmp_path / "rank.gguf"
    write_bert(model, scores=True)
    server = start_server(model=model)  # the file says what it is
    reference = ReferenceEncoder(str(model))
    reply = ok(server, "/rerank", {"query": "the", "documents": ["in", "an"], "normalize": False})
    for result in reply["results"]:
        document = ["in", "an"][result["index"]]
        ids = [1, *tokens(server, "the"), 2, 2, *tokens(server, document), 2]
        assert abs(result["relevance_score"] - float(reference.vector(ids)[0])) < 1e-4


def test_openai_client(minilm):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=minilm.url + "/v1", api_key="none")
    reply = client.embeddings.create(model="any", input=["hello", "b"])  # asks for base64
    np.testing.assert_allclose(reply.data[0].embedding, vectors(minilm, "hello")[0])
    assert reply.usage.total_tokens == 6 and json.loads(reply.model_dump_json())
