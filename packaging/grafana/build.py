#!/usr/bin/env python3
"""Writes the Grafana dashboard: dashboard.json beside this file. A test holds the two together.

Usage: build.py [--print]      --print: to standard output
"""
import json
import pathlib
import sys

WHERE = '{instance=~"$instance"}'


def rate(metric):
    return f"sum by (instance) (rate({metric}{WHERE}[$__rate_interval]))"


def quantile(q, histogram):
    return f"histogram_quantile({q}, sum by (le) (rate({histogram}_bucket{WHERE}[$__rate_interval])))"


def latency(title, histogram):
    return (title, "s", [(quantile(q, histogram), name) for q, name in [(0.5, "median"), (0.95, "95 %"), (0.99, "99 %")]])


# Rows of panels: (title, unit, [(expression, legend)]).
ROWS = [
    ("Now", [
        ("Running", "short", [("vllm:num_requests_running" + WHERE, "{{instance}}")]),
        ("Waiting", "short", [("vllm:num_requests_waiting" + WHERE, "{{instance}}")]),
        ("Cache held by requests", "percentunit", [("vllm:kv_cache_usage_perc" + WHERE, "{{instance}}")]),
        ("Generated, tokens a second", "short", [(rate("vllm:generation_tokens_total"), "{{instance}}")]),
    ]),
    ("Latency", [
        latency("Time to first token", "vllm:time_to_first_token_seconds"),
        latency("From a token to the next", "vllm:inter_token_latency_seconds"),
        latency("Time in the queue", "vllm:request_queue_time_seconds"),
        latency("Whole request", "vllm:e2e_request_latency_seconds"),
    ]),
    ("Work", [
        ("Prompt tokens a second", "short", [(rate("llamabox:prompt_tokens_computed_total"), "computed {{instance}}"),
                                             (rate("llamabox:prompt_tokens_cached_total"), "from the cache {{instance}}")]),
        ("Prompt tokens found in the cache", "percentunit",
         [(f"{rate('vllm:prefix_cache_hits_total')} / {rate('vllm:prefix_cache_queries_total')}", "{{instance}}")]),
        ("Forward passes a second", "short", [(rate("llamabox:steps_total"), "{{instance}}")]),
        ("Replies a second, by status", "short",
         [("sum by (status) (rate(llamabox:http_replies_total" + WHERE + "[$__rate_interval]))", "{{status}}")]),
    ]),
    ("Cache", [
        ("Blocks by state", "short", [("sum by (state) (llamabox:kv_blocks" + WHERE + ")", "{{state}}")]),
        ("Evictions a second", "short", [(rate("llamabox:kv_evictions_total"), "{{instance}}")]),
        ("Pauses a second", "short", [(rate("vllm:num_preemptions_total"), "{{instance}}")]),
        ("Tokens computed twice, a second", "short", [(rate("llamabox:tokens_recomputed_total"), "{{instance}}")]),
    ]),
    ("Ends", [
        ("Finished, by reason", "short",
         [("sum by (finished_reason) (rate(vllm:request_success_total" + WHERE + "[$__rate_interval]))", "{{finished_reason}}")]),
        ("Failed", "short", [(rate("llamabox:requests_failed_total"), "{{instance}}")]),
        ("Refused", "short", [(rate("llamabox:requests_rejected_total"), "{{instance}}")]),
        ("Clients that left", "short", [(rate("llamabox:requests_cancelled_total"), "{{instance}}")]),
    ]),
]
SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard():
    panels = []
    for row, (heading, members) in enumerate(ROWS):
        top = row * 9
        panels.append({"type": "row", "id": len(panels) + 1, "title": heading, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}})
        for column, (title, unit, queries) in enumerate(members):
            panels.append({
                "type": "timeseries", "id": len(panels) + 1, "title": title, "datasource": SOURCE,
                "gridPos": {"x": 6 * column, "y": top + 1, "w": 6, "h": 8},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
                "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
                "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
                            for i, (expression, legend) in enumerate(queries)],
            })
    variables = [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {"name": "instance", "label": "Server", "type": "query", "datasource": SOURCE, "multi": True, "includeAll": True,
         "query": {"query": "label_values(vllm:num_requests_running, instance)", "refId": "instance"}, "refresh": 2,
         "current": {"text": "All", "value": "$__all"}},
    ]
    return {"title": "llama-box", "uid": "llama-box", "tags": ["llama-box"], "schemaVersion": 38, "version": 1, "editable": True,
            "timezone": "browser", "refresh": "5s", "time": {"from": "now-30m", "to": "now"},
            "templating": {"list": variables}, "panels": panels}


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--print"]:
        print(text, end="")
    else:
        pathlib.Path(__file__).with_name("dashboard.json").write_text(text)


main()
