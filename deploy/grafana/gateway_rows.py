"""What the dashboard shows of gateways: the whole, delivery, clients (pure)."""

from .queries import ALARMS, BY_INSTANCE, apart, quantiles
from .shapes import Panel, Query, Row
from .terms import chosen, mean, per_second, quantile, recorded, total

__all__ = ["CLIENTS", "DELIVERY", "OVERVIEW"]


def _stat(title: str, expression: str, unit: str = "short", bound: float | None = None) -> Panel:
    return Panel(title, [Query(expression)], unit=unit, width=4, is_stat=True, bound=bound)


OVERVIEW = Row(
    "Overview",
    [
        _stat("Connections", total("tidewire_connections")),
        _stat("Events delivered", per_second("tidewire_events_delivered_total"), "cps"),
        _stat("Freshness, p99", quantile(0.99, "tidewire_freshness_seconds"), "s", 5),
        _stat("Consumer lag", f"max({chosen('tidewire_consumer_lag_seconds')})", "s", 10),
        _stat("Processes up", f"sum({chosen('up')})"),
        _stat("Alarms", f"count({ALARMS}) or vector(0)", bound=1),
        Panel(
            "Connections",
            [Query(total("tidewire_connections", "instance"), BY_INSTANCE)],
            is_stacked=True,
        ),
        Panel(
            "Events",
            [
                Query(
                    per_second("tidewire_events_consumed_total"), "read from Kafka, by all nodes"
                ),
                Query(per_second("tidewire_events_delivered_total"), "delivered"),
            ],
            unit="cps",
            about="Delivered: once per connection.",
        ),
        Panel(
            "Consumer lag",
            [Query(f"max by (instance) ({chosen('tidewire_consumer_lag_seconds')})", BY_INSTANCE)],
            unit="s",
            bound=10,
        ),
        Panel(
            "Freshness",
            quantiles("tidewire_freshness_seconds", has_exemplars=True),
            unit="s",
            about="Age of a flush's oldest event when it was written; a diamond is one event, with its trace.",
            width=16,
        ),
        Panel(
            "Freshness, p90 as the alert sees it",
            [Query(recorded("job:tidewire_freshness_seconds:p90_rate5m"), "{{job}}")],
            unit="s",
            bound=5,
        ),
    ],
)

DELIVERY = Row(
    "Delivery",
    [
        Panel("Flush time", quantiles("tidewire_flush_seconds"), unit="s"),
        Panel(
            "Batch size",
            [
                *quantiles("tidewire_batch_events"),
                Query(mean("tidewire_batch_events"), "mean"),
            ],
            about="Events of one flush.",
        ),
        Panel(
            "Coalesced",
            [Query(recorded("job:tidewire_events_coalesced:ratio_rate5m"), "{{job}}")],
            unit="percentunit",
            about="Share of the events that a newer one of their entity replaced before the flush.",
        ),
        Panel(
            "Bytes written",
            [Query(per_second("tidewire_bytes_delivered_total", "instance"), BY_INSTANCE)],
            unit="Bps",
            is_stacked=True,
        ),
        Panel(
            "Frames",
            [Query(per_second("tidewire_frames_delivered_total", "instance"), BY_INSTANCE)],
            unit="cps",
            is_stacked=True,
        ),
        Panel(
            "Feeds and partitions",
            [
                Query(total("tidewire_feeds"), "feeds"),
                Query(total("tidewire_partitions_assigned"), "partitions read"),
            ],
        ),
        Panel("Records skipped", apart("reason", "tidewire_events_rejected_total"), unit="cps"),
        Panel(
            "Consumer lag in records",
            [Query(total("tidewire_consumer_lag_records", "instance"), BY_INSTANCE)],
        ),
        Panel(
            "Published over HTTP",
            [
                *apart("outcome", "tidewire_events_published_total"),
                Query(
                    f"{per_second('tidewire_user_events_published_total', 'outcome')} > 0",
                    "to users: {{outcome}}",
                ),
            ],
            unit="cps",
        ),
    ],
)

CLIENTS = Row(
    "Clients",
    [
        Panel(
            "Subscriptions by state",
            [Query(total("tidewire_subscriptions_by_state", "state"), "{{state}}")],
            about="From attached (level with the stream) down to lagging and paused.",
            is_stacked=True,
        ),
        Panel(
            "Unsent bytes",
            [
                Query(total("tidewire_queued_bytes", "instance"), "{{instance}}, all connections"),
                Query(
                    f"max by (instance) ({chosen('tidewire_queued_bytes_max')})",
                    "{{instance}}, the slowest",
                ),
            ],
            unit="bytes",
        ),
        Panel(
            "Congested connections",
            [Query(total("tidewire_connections_congested", "instance"), BY_INSTANCE)],
            about="Nothing is pushed to them until they have taken what waits.",
        ),
        Panel(
            "Slow closes for a connection, in 5 minutes",
            [Query(recorded("job:tidewire_slow_closes_per_connection:increase5m"), "{{job}}")],
            unit="percentunit",
            bound=0.005,
        ),
        Panel(
            "Resumes",
            [
                Query(
                    f"{per_second('tidewire_resumes_total', 'outcome', 'source')} > 0",
                    "{{outcome}} from {{source}}",
                )
            ],
            unit="cps",
            about="What became of positions that clients handed back, and where the rest came from.",
        ),
        Panel(
            "Freshness at the client",
            quantiles("tidewire_client_freshness_seconds"),
            unit="s",
        ),
        Panel("Handshakes", apart("outcome", "tidewire_handshakes_total"), unit="cps"),
        Panel(
            "Handshakes refused",
            [
                Query(
                    recorded("job:tidewire_handshakes_overloaded:ratio_rate5m"),
                    "{{job}}: no room (alert at 5 %)",
                ),
                Query(
                    recorded("job:tidewire_handshakes_rejected:ratio_rate5m"),
                    "{{job}}: not acceptable (alert at 20 %)",
                ),
            ],
            unit="percentunit",
        ),
        Panel(
            "Handshakes a connection, in 5 minutes",
            [Query(recorded("job:tidewire_handshakes_per_connection:increase5m"), "{{job}}")],
            bound=1.5,
        ),
        Panel("Closes", apart("code", "tidewire_closes_total"), unit="cps", about="By close code."),
        Panel(
            "Errors",
            apart("code", "tidewire_errors_total"),
            unit="cps",
            about="Error frames, by code.",
        ),
        Panel(
            "Errors of ours for a connection, in 5 minutes",
            [Query(recorded("job:tidewire_errors_per_connection:increase5m"), "{{job}}")],
            unit="percentunit",
            bound=0.01,
        ),
        Panel("Ping to pong", quantiles("tidewire_ping_rtt_seconds"), unit="s"),
        Panel("Reads over HTTP", apart("outcome", "tidewire_one_off_reads_total"), unit="cps"),
        Panel(
            "Older events read again",
            [
                *apart("outcome", "tidewire_backfills_total"),
                Query(per_second("tidewire_backfill_records_total"), "records"),
            ],
            unit="cps",
        ),
    ],
)
