"""What is under packaging/ and cannot run here is at least well-formed, and speaks of flags, variables
and metrics that this server really has. The packages themselves: packaging/check."""

import json
import pathlib
import re
import subprocess
import sys
import urllib.request

import kubernetes_validate
import promql_parser
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"


@pytest.fixture(scope="module")
def exported(server):
    """The metrics of a server that has answered: what a scrape stores, histograms by their parts."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}).encode()
    ask = urllib.request.Request(server.url + "/v1/chat/completions", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(ask, timeout=60).read()
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as reply:
        return set(re.findall(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)[{ ]", reply.read().decode(), re.M))


@pytest.fixture(scope="module")
def known_flags(binary):
    text = subprocess.run([str(binary), "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text))


def metrics_of(expression):
    """The metrics that an expression of PromQL asks for; it must parse."""
    plain = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
    found = set()

    def walk(node):
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        elif isinstance(node, promql_parser.MatrixSelector):
            walk(node.vector_selector)
        else:
            for name in ("expr", "lhs", "rhs", "param"):
                part = getattr(node, name, None)
                if part is not None:
                    walk(part)
            for part in getattr(node, "args", None) or []:
                walk(part)

    walk(promql_parser.parse(plain))
    return found


def test_metrics_of_an_expression_are_found_in_every_place():
    assert metrics_of('histogram_quantile(0.5, sum by (le) (rate(a:b_bucket{x=~"$instance"}[$__rate_interval])))') == {"a:b_bucket"}
    assert metrics_of("a > 0.1 * rate(b[5m]) and (c or -d)") == {"a", "b", "c", "d"}
    with pytest.raises(ValueError):
        metrics_of("sum(rate(a[5m])")


def test_the_dashboard_asks_for_metrics_that_exist(exported):
    text = (PACKAGING / "grafana" / "dashboard.json").read_text()
    built = subprocess.run([sys.executable, str(PACKAGING / "grafana" / "build.py"), "--print"],
                           capture_output=True, text=True, check=True).stdout
    assert text == built, "packaging/grafana/build.py writes another dashboard.json"
    panels = json.loads(text)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(expressions) > 20
    for expression in expressions:
        assert metrics_of(expression) and metrics_of(expression) <= exported, expression


def test_alerts_ask_for_metrics_that_exist(exported):
    rules = yaml.safe_load((PACKAGING / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    operators = (ROOT / "docs" / "operators.md").read_text()
    for rule in rules:
        assert metrics_of(rule["expr"]) <= exported | {"up"}, rule
        assert f"`{rule['alert']}`" in operators, f"docs/operators.md does not say what to do at {rule['alert']}"
    scrape = yaml.safe_load((PACKAGING / "prometheus" / "scrape.yml").read_text())
    assert scrape["rule_files"] == ["alerts.yml"]


def test_kubernetes_accepts_the_example(known_flags):
    documents = list(yaml.safe_load_all((PACKAGING / "kubernetes.yaml").read_text()))
    assert [document["kind"] for document in documents] == ["PersistentVolumeClaim", "Deployment", "Service"]
    for document in documents:
        kubernetes_validate.validate(document, "1.37", strict=True)
    pod = documents[1]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {flag for flag in container["args"] if flag.startswith("-")} <= known_flags
    assert {variable["name"] for variable in container["env"]} <= variables()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}


def variables():
    """The names in the server's table of environment variables."""
    return set(re.findall(r'\{"(LLAMA_\w+)"', (ROOT / "src" / "app" / "env_flags.cc").read_text()))


def test_the_backend_of_gpustack_is_well_formed(known_flags):
    backend = yaml.safe_load((PACKAGING / "gpustack.yaml").read_text())
    # The fields of GPUStack 2.3; names of users' own end in -custom.
    assert set(backend) <= {"backend_name", "description", "icon", "default_version", "default_run_command",
                            "default_entrypoint", "default_backend_param", "default_env", "health_check_path",
                            "parameter_format", "common_parameters", "version_configs"}
    assert backend["backend_name"].endswith("-custom")
    assert backend["default_version"] in backend["version_configs"]
    for name, version in backend["version_configs"].items():
        assert name.endswith("-custom") and version["custom_framework"] in ("cpu", "cuda")
        assert (PACKAGING / "docker" / f"{version['custom_framework']}.Dockerfile").exists()
    command = backend["default_run_command"]
    assert set(re.findall(r"\{\{(.*?)\}\}", command)) == {"port", "model_path", "model_name"}
    flags = {word for word in command.split() if word.startswith("-")}
    assert flags | set(backend["common_parameters"]) <= known_flags
    assert backend["health_check_path"] == "/health" and backend["parameter_format"] == "space"


def test_the_service_is_told_variables_that_exist():
    text = (PACKAGING / "debian" / "llama-box.env").read_text()
    names = set(re.findall(r"^#?(LLAMA_\w+)=", text, re.M))
    unit = (PACKAGING / "debian" / "llama-box.service").read_text()
    assert "LLAMA_ARG_MODEL" in names
    assert names - variables() == {"LLAMA_BOX_FLAGS"} and "$LLAMA_BOX_FLAGS" in unit
    for variable in re.findall(r"LLAMA_\w+", "".join(path.read_text() for path in (PACKAGING / "docker").iterdir())):
        assert variable in variables()


@pytest.mark.parametrize("name", ["cpu.Dockerfile", "cuda.Dockerfile"])
def test_dockerfiles_pass_hadolint(name):
    # DL3008: versions are those of the Debian release that the image names.
    result = subprocess.run([str(pathlib.Path(sys.executable).with_name("hadolint")), "--ignore", "DL3008",
                             str(PACKAGING / "docker" / name)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
