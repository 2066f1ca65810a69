"""Proves who may ask, and over what: TLS with a certificate of our own, keys from a file, and that
neither keys nor texts reach the log."""

import http.client
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import openai
import pytest

MESSAGES = [{"role": "user", "content": "Say a very secret word."}]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def get(url, context=None):
    with urllib.request.urlopen(url, timeout=10, context=context) as reply:
        return reply.status


def test_tls_serves_plain_and_streamed_answers(start_server, certificate, monkeypatch):
    cert, key = certificate
    server = start_server("--ssl-cert-file", cert, "--ssl-key-file", key, wait=False)
    url = f"https://localhost:{server.port}"
    context = ssl.create_default_context(cafile=str(cert))
    wait_for_health(server, url, context)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)
    plain = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=16, temperature=0)
    stream = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=16,
                                            temperature=0, stream=True)
    text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert text == plain.choices[0].message.content
    # A client that speaks no TLS gets no answer, and harms nobody.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.request("GET", "/health")
        connection.getresponse()
    assert get(url + "/health", context) == 200
    assert server.stop() == 0


def wait_for_health(server, url, context):
    for _ in range(600):
        assert server.process.poll() is None, server.log()
        try:
            if get(url + "/health", context) == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError("not ready in time:\n" + server.log())


def test_keys_from_a_file_and_nothing_of_them_in_the_log(start_server, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first-key\nsecond-key\r\n\n")
    server = start_server("--api-key-file", keys, "--api-key", "third-key", "--verbosity", "3")
    body = json.dumps({"model": "m", "messages": MESSAGES, "max_tokens": 4}).encode()
    for key, status in (("first-key", 200), ("second-key", 200), ("third-key", 200),
                        ("first-ke", 401), ("", 401), ("second-key.", 401)):
        request = urllib.request.Request(server.url + "/v1/chat/completions", body, {
            "Authorization": "Bearer " + key, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                assert reply.status == status, key
        except urllib.error.HTTPError as error:
            assert error.code == status, key
    server.stop()
    log = server.log()
    assert "st-key" not in log and "nd-key" not in log and "rd-key" not in log, log
    assert "secret word" not in log


def test_a_file_without_keys_is_refused(start_server, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("\n\n")
    server = start_server("--api-key-file", keys, wait=False)
    assert server.process.wait(30) == 1
    assert "no key in it" in server.log()
