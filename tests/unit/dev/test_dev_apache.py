"""How Apache Kafka's tools are called."""

from pathlib import Path

from tidewire.dev.apache import format_arguments


def test_cluster_id_that_begins_with_a_dash_is_no_option() -> None:
    arguments = format_arguments("-2o7cluster", Path("server.properties"))
    assert "--cluster-id=-2o7cluster" in arguments
    assert not any(word.startswith("-2") for word in arguments)
