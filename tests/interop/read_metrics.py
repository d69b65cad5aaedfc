"""Scrapes /metrics as Prometheus would, in both forms, and prints name -> value as JSON.

Usage: read_metrics.py URL. The parsers are those of Prometheus's own Python client.
"""

import json
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as classic


def scrape(url, accept, content_type, parse):
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["Content-Type"].startswith(content_type), response.headers
        text = response.read().decode()
    samples = {}
    for family in parse(text):
        assert family.type in ("counter", "gauge"), (family.name, family.type)
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


def main():
    url = sys.argv[1]
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    opened = scrape(url, accept, "application/openmetrics-text", open_metrics)
    plain = scrape(url, "*/*", "text/plain", classic)
    assert opened.keys() == plain.keys(), (opened, plain)
    print(json.dumps(opened))


main()
