"""What the dashboard shows of messages to users, of processes, and of traces (pure)."""

from .queries import BY_INSTANCE, apart, quantiles
from .shapes import Panel, Query, Row
from .terms import chosen, per_second, recorded, total

__all__ = ["PROCESSES", "TRACES", "USERS"]

_BY_PROCESS = "{{job}} {{instance}}"
_DEAD_LETTERS = chosen("tidewire_router_messages_total", 'outcome="dead_letter"')

USERS = Row(
    "Messages to users",
    [
        Panel("Leases held", [Query(total("tidewire_lease_held", "instance"), BY_INSTANCE)]),
        Panel(
            "Nodes, slots, frozen leases",
            [
                Query(f"max({chosen('tidewire_registry_nodes')})", "nodes with a lease"),
                Query(f"max({chosen('tidewire_registry_slots')})", "slots"),
                Query(f"max({chosen('tidewire_registry_expiry_frozen')})", "expiry is frozen"),
                Query(f"min({chosen('tidewire_registry_store_up')})", "store answers"),
            ],
        ),
        Panel("Sessions", [Query(f"max({chosen('tidewire_registry_sessions')})", "sessions")]),
        Panel(
            "Registry requests",
            [
                Query(
                    f"{per_second('tidewire_registry_requests_total', 'operation', 'outcome')} > 0",
                    "{{operation}}: {{outcome}}",
                )
            ],
            unit="reqps",
        ),
        Panel(
            "Registry answers after",
            quantiles("tidewire_registry_request_seconds"),
            unit="s",
        ),
        Panel(
            "Calls of the registry, leases lost",
            [
                *apart("outcome", "tidewire_registry_calls_total"),
                Query(per_second("tidewire_leases_lost_total"), "leases lost"),
            ],
            unit="cps",
        ),
        Panel(
            "Router lag",
            [
                Query(total("tidewire_router_lag_records"), "records"),
                Query(total("tidewire_router_waiting_messages"), "wait for the registry"),
                Query(total("tidewire_router_held_partitions"), "partitions that stand"),
            ],
            bound=1000,
        ),
        Panel("Router age", quantiles("tidewire_router_age_seconds"), unit="s"),
        Panel(
            "Messages routed",
            apart("outcome", "tidewire_router_messages_total"),
            unit="cps",
            about="By what became of each; dead_letter: see the topic tidewire.targeted.dlq.",
        ),
        Panel(
            "Dead letters, in 15 minutes",
            [
                Query(
                    f"sum(increase({_DEAD_LETTERS}[15m]))",
                    "dead letters",
                )
            ],
            bound=10,
        ),
        Panel(
            "Router troubles",
            [
                Query(
                    f"{per_second('tidewire_router_failures_total', 'of')} > 0", "failed: {{of}}"
                ),
                Query(f"{per_second('tidewire_router_detours_total', 'detour')} > 0", "{{detour}}"),
                Query(f"max({chosen('tidewire_router_registry_away')})", "registry away"),
            ],
        ),
        Panel("Letters", apart("outcome", "tidewire_letters_total"), unit="cps"),
        Panel("Mailbox reads", apart("outcome", "tidewire_mailbox_reads_total"), unit="cps"),
        Panel("Pushes", apart("outcome", "tidewire_pushes_total"), unit="cps"),
        Panel("Pushes answered after", quantiles("tidewire_push_seconds"), unit="s"),
    ],
)

PROCESSES = Row(
    "Processes",
    [
        Panel(
            "Loop lateness, p99",
            [
                Query(
                    recorded("instance:tidewire_loop_lateness_seconds:p99_rate5m"),
                    BY_INSTANCE,
                )
            ],
            unit="s",
            bound=0.1,
        ),
        Panel(
            "Loop lag, worst of 3 s",
            [Query(f"max by (instance) ({chosen('tidewire_loop_lag_seconds')})", BY_INSTANCE)],
            unit="s",
            bound=1,
            about="A node that is later than MAX_LOOP_LAG accepts nobody.",
        ),
        Panel(
            "CPU",
            [
                Query(
                    per_second("process_cpu_seconds_total", "job", "instance"),
                    _BY_PROCESS,
                )
            ],
            about="In cores; a process uses little more than one.",
        ),
        Panel(
            "Memory",
            [
                Query(
                    total("process_resident_memory_bytes", "job", "instance"),
                    _BY_PROCESS,
                )
            ],
            unit="bytes",
        ),
        Panel(
            "Garbage collections",
            [
                Query(
                    per_second("python_gc_collections_total", "generation"),
                    "generation {{generation}}",
                )
            ],
            unit="cps",
        ),
        Panel(
            "File descriptors in use",
            [
                Query(
                    f"max by (job, instance) ({chosen('process_open_fds')} / {chosen('process_max_fds')})",
                    _BY_PROCESS,
                )
            ],
            unit="percentunit",
        ),
    ],
)

TRACES = Row(
    "Traces",
    [
        Panel(
            "Sampled events",
            [Query(per_second("tidewire_traced_events_total", "outcome"), "{{outcome}}")],
            unit="cps",
            about="capped: more than TRACE_LIMIT a second; not_sampled: declined by the node's own sampler.",
        ),
        Panel(
            "Spans",
            [
                Query(
                    per_second("tidewire_trace_spans_total", "job", "outcome"),
                    "{{job}}: {{outcome}}",
                )
            ],
            unit="cps",
        ),
        Panel(
            "Spans lost",
            [Query(recorded("job:tidewire_spans_lost:ratio_rate15m"), "{{job}}")],
            unit="percentunit",
            bound=0.05,
        ),
        Panel(
            "Links cut",
            [Query(per_second("tidewire_trace_links_cut_total"), "links")],
            unit="cps",
            about="Sampled events whose flush carried more of them than a span may have links.",
        ),
    ],
)
