"""The table of all metrics: names, labels, meanings and alerts.

The counters of the code, the table of docs/operations.md, deploy/alerts.yml and
deploy/grafana.json are made from it (``python -m tests.plugins.metric_files``).
"""

from typing import Final, Literal, NamedTuple

_DAY: Final = 86_400


class Alert(NamedTuple):
    """A rule of Prometheus: raised when ``expression`` holds for the time ``lasts``."""

    name: str
    expression: str
    lasts: str
    when: str  # for people


class MetricRow(NamedTuple):
    """A metric. Its labels are codes and names of the configuration, never personal values."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    alert: Alert | None = None


def _alert_on_rate(name: str, series: str, lasts: str, when: str) -> Alert:
    return Alert(name, f"sum(rate({series}[5m])) > 0", lasts, when)


def _alert_on_time(name: str, histogram: str, seconds: float) -> Alert:
    rates = f"sum by (le) (rate({histogram}_bucket[5m]))"
    expression = f"histogram_quantile(0.99, {rates}) > {seconds}"
    return Alert(name, expression, "10m", f"1 % take more than {seconds} s for 10 minutes")


def _alert_on_end(name: str, gauge: str, days: int) -> Alert:
    return Alert(name, f"{gauge} - time() < {days * _DAY}", "1h", f"less than {days} days ahead")


TABLE: Final = (
    MetricRow(
        "broker_failed_checks",
        "gauge",
        ("check",),
        "1 for each check of /readyz by which logins fail.",
        Alert("BrokerNotReady", "broker_failed_checks > 0", "1m", "any for a minute"),
    ),
    MetricRow(
        "broker_http_requests_total",
        "counter",
        ("endpoint", "status"),
        "Answered requests, by page and HTTP status.",
        Alert(
            "BrokerErrors",
            'sum(rate(broker_http_requests_total{status=~"5.."}[5m])) > 0.1',
            "5m",
            "more than 6 answers 5xx a minute",
        ),
    ),
    MetricRow(
        "broker_http_request_seconds",
        "histogram",
        ("endpoint",),
        "Time from request to answer, by page.",
        _alert_on_time("BrokerSlow", "broker_http_request_seconds", 5),
    ),
    MetricRow(
        "broker_logins_total",
        "counter",
        ("result", "service", "upstream", "affiliation"),
        "Logins that ended in an assertion (issued), or were refused after the authentication.",
        Alert(
            "BrokerNoLogins",
            'sum(increase(broker_logins_total{result="issued"}[1h])) == 0 and '
            'sum(increase(broker_logins_total{result="issued"}[1h] offset 1w)) > 10',
            "5m",
            "none in an hour that had some a week ago",
        ),
    ),
    MetricRow(
        "broker_refusals_total",
        "counter",
        ("reason",),
        "Logins and messages refused, by the check that refused them.",
        Alert(
            "BrokerMessagesRefused",
            r'sum(rate(broker_refusals_total{reason=~"(xml|response)[.].*"}[15m])) > 0.2',
            "15m",
            "more than 12 faulty messages a minute",
        ),
    ),
    MetricRow(
        "broker_store_call_seconds",
        "histogram",
        ("call",),
        "Time of calls of the store.",
        _alert_on_time("BrokerStoreSlow", "broker_store_call_seconds", 0.2),
    ),
    MetricRow(
        "broker_library_calls_total",
        "counter",
        ("call", "outcome"),
        "Calls of the library system: done, refused, unavailable.",
        _alert_on_rate(
            "BrokerLibraryDown",
            'broker_library_calls_total{outcome="unavailable"}',
            "10m",
            "unavailable for 10 minutes",
        ),
    ),
    MetricRow(
        "broker_library_call_seconds",
        "histogram",
        ("call",),
        "Time of calls of the library system.",
        _alert_on_time("BrokerLibrarySlow", "broker_library_call_seconds", 2),
    ),
    MetricRow(
        "broker_library_fault",
        "gauge",
        ("setting",),
        "1 for each faulty setting of the library system; unavailable when it is down.",
        Alert("BrokerLibraryFault", "broker_library_fault > 0", "10m", "any for 10 minutes"),
    ),
    MetricRow(
        "broker_enrolments",
        "gauge",
        ("state", "reason"),
        "Open cases, and pending enrolments that have failed for 15 minutes.",
        Alert(
            "BrokerEnrolmentsFail",
            'broker_enrolments{state="pending"} > 0',
            "15m",
            "any pending for 15 minutes",
        ),
    ),
    MetricRow("broker_mails_waiting", "gauge", (), "Mails that have not been sent or refused."),
    MetricRow(
        "broker_oldest_mail_age_seconds",
        "gauge",
        (),
        "Age of the oldest mail that waits.",
        Alert("BrokerMailsWait", "broker_oldest_mail_age_seconds > 1800", "5m", "half an hour"),
    ),
    MetricRow(
        "broker_register_calls_total",
        "counter",
        ("call", "outcome"),
        "Calls of the register of persons.",
        _alert_on_rate(
            "BrokerRegisterDown",
            'broker_register_calls_total{outcome=~"unavailable|refused"}',
            "30m",
            "unavailable or refused for 30 minutes",
        ),
    ),
    MetricRow(
        "broker_register_look_ups_total",
        "counter",
        ("for", "outcome"),
        "Look-ups in the register of persons, by purpose and outcome.",
    ),
    MetricRow(
        "broker_work_running",
        "gauge",
        (),
        "1 while broker work runs on this machine, and finishes its rounds.",
        Alert("BrokerWorkStopped", "broker_work_running == 0", "1m", "0 for a minute"),
    ),
    MetricRow(
        "broker_reload_age_seconds",
        "gauge",
        (),
        "Time since the web worker looked for changed policies and metadata.",
        Alert("BrokerReloadHangs", "broker_reload_age_seconds > 60", "1m", "more than a minute"),
    ),
    MetricRow(
        "broker_work_starts_total",
        "counter",
        (),
        "Starts of broker work, reloads included.",
        Alert(
            "BrokerWorkRestarts",
            "increase(broker_work_starts_total[1h]) > 5",
            "0m",
            "more than 5 in an hour",
        ),
    ),
    MetricRow(
        "broker_metadata_fetches_total",
        "counter",
        ("feed", "result"),
        "Fetches of metadata feeds: new, same, older, absent, busy, refused.",
        Alert(
            "BrokerFeedRefused",
            'increase(broker_metadata_fetches_total{result=~"older|refused"}[1h]) > 0',
            "0m",
            "any older or refused",
        ),
    ),
    MetricRow(
        "broker_feed_valid_until_timestamp_seconds",
        "gauge",
        ("feed",),
        "When the copy of a feed in force ends; 0 without a copy.",
        _alert_on_end("BrokerFeedEnds", "broker_feed_valid_until_timestamp_seconds", 1),
    ),
    MetricRow(
        "broker_metadata_ends_timestamp_seconds",
        "gauge",
        ("kind", "name", "what"),
        "When the validUntil or last certificate of a party in the metadata folder ends.",
        _alert_on_end("BrokerMetadataEnds", "broker_metadata_ends_timestamp_seconds", 14),
    ),
    MetricRow(
        "broker_metadata_alarms",
        "gauge",
        (),
        "Refused, older or late feeds, parties without metadata, broken files.",
        Alert("BrokerMetadataFaulty", "broker_metadata_alarms > 0", "1h", "above 0 for an hour"),
    ),
    MetricRow(
        "broker_own_certificate_ends_timestamp_seconds",
        "gauge",
        ("use", "slot"),
        "When our own certificates end.",
        _alert_on_end("BrokerCertificateEnds", "broker_own_certificate_ends_timestamp_seconds", 30),
    ),
    MetricRow(
        "broker_policies_stale",
        "gauge",
        (),
        "1 while the last good policies replace broken ones.",
        Alert("BrokerPoliciesStale", "broker_policies_stale == 1", "0m", "1"),
    ),
    MetricRow(
        "broker_policies_loaded",
        "gauge",
        ("digest",),
        "1 for the policies in force.",
        Alert(
            "BrokerPoliciesDiffer",
            "count(count by (digest) (broker_policies_loaded)) > 1",
            "2m",
            "machines with different digests for two minutes",
        ),
    ),
    MetricRow(
        "broker_processes_differ",
        "gauge",
        (),
        "Differences to other processes (broker fleet).",
        Alert("BrokerFleetDiffers", "broker_processes_differ > 0", "15m", "above 0 for 15 minutes"),
    ),
    MetricRow(
        "broker_store_lost",
        "gauge",
        (),
        "1 while the store lacks what the audit log says of it.",
        Alert("BrokerStoreLost", "broker_store_lost == 1", "0m", "1"),
    ),
    MetricRow(
        "broker_state_free_bytes",
        "gauge",
        (),
        "Free space on the disk of the folder state.",
        Alert("BrokerDiskFull", "broker_state_free_bytes < 1e9", "5m", "below 1 GB"),
    ),
    MetricRow(
        "broker_log_lines_dropped_total",
        "counter",
        (),
        "Log lines that could not be masked or written.",
        Alert(
            "BrokerLogLinesDropped", "increase(broker_log_lines_dropped_total[1h]) > 0", "0m", "any"
        ),
    ),
    MetricRow("broker_build_info", "gauge", ("version", "python"), "1 for the release that runs."),
)
