"""Figures of requests: names, classes of statuses, buckets, and a number of series that nobody can drive up."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pepeunit_gateway.api.request_metrics import RequestMetrics


def _samples(metrics):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(sample.name, *sorted(sample.labels.items())): sample.value for f in families for sample in f.samples}


def _labels(**labels):
    return sorted(labels.items())


def test_requests_are_counted_by_route_method_and_class_of_status():
    metrics = RequestMetrics()
    for status in (200, 204, 404, 503):
        metrics.observe("/units", "GET", status, 0.02, received=0, sent=100)
    found = _samples(metrics)
    for kind, count in (("2xx", 2), ("4xx", 1), ("5xx", 1)):
        assert found[("http_requests_total", *_labels(handler="/units", method="GET", status=kind))] == count
    assert found[("http_response_size_bytes_sum", ("handler", "/units"))] == 400
    assert found[("http_request_size_bytes_count", ("handler", "/units"))] == 4


def test_times_fall_into_cumulative_buckets():
    metrics = RequestMetrics()
    for seconds in (0.001, 0.01, 0.2, 99.0):
        metrics.observe("/units", "GET", 200, seconds, received=0, sent=0)
    found = _samples(metrics)

    def below(bound):
        labels = _labels(handler="/units", method="GET", le=bound)
        return found[("http_request_duration_seconds_bucket", *labels)]

    assert [below(bound) for bound in ("0.01", "0.1", "0.5", "+Inf")] == [2, 2, 3, 4]
    assert found[("http_request_duration_highr_seconds_bucket", ("le", "60.0"))] == 3
    assert found[("http_request_duration_highr_seconds_count",)] == 4


def test_invented_methods_share_one_series():
    """W55: whoever invents methods must not fill memory."""
    metrics = RequestMetrics()
    for number in range(1000):
        metrics.observe("none", f"X{number}", 405, 0.0, received=0, sent=0)
    counters = [key for key in _samples(metrics) if key[0] == "http_requests_total"]
    assert counters == [("http_requests_total", *_labels(handler="none", method="other", status="4xx"))]
