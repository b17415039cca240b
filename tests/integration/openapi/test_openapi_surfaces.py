"""What each service says of itself in OpenAPI, held to it by requests that fit and by requests that do not.

No answer is an error of the service's own, and each has a status, a media type, headers and a body that its document names.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from harness.redis import redis_process
from harness.services import Process, Services, running_services

pytestmark = [
    pytest.mark.timeout(300),
    # Schemathesis does so in strategies of its own.
    pytest.mark.filterwarnings(
        "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
    ),
]

DOCS = Path(__file__).parents[3] / "docs" / "api"
EXAMPLES = 20
ENDS_IT = "/internal/drain"
"""Does what it is asked for, and then there is nobody to ask."""
SURFACES = {
    "gateway": ("gateway", "http"),
    "gateway, internal": ("gateway", "internal"),
    "publisher": ("publisher", "http"),
    "registry": ("registry", "http"),
}

load_all_checks()
HOLDS: Any = CHECKS.get_by_names(  # typed wider than what takes it
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


@pytest.fixture(scope="module")
def services(embedded_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("openapi")
    with (
        redis_process(folder / "redis") as redis,
        running_services(folder, embedded_kafka, redis.url) as running,
    ):
        running.make_topics()
        yield running


@pytest.fixture(scope="module")
def parts(services: Services) -> dict[str, Process]:
    return services.start_all()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("surface", SURFACES)
def test_answers_are_what_the_schema_says(
    services: Services, parts: dict[str, Process], surface: str, mode: GenerationMode
) -> None:
    name, port = SURFACES[surface]
    part = parts[name]
    assert part.ready is not None
    document = httpx.get(f"{part.ready[port]}/openapi.json", trust_env=False).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=part.ready[port])
    token = {"Authorization": f"Bearer {services.token('ann')}"}
    broken: dict[str, str] = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path != ENDS_IT:
            try:
                ask(operation, mode, token)
            except (FailureGroup, AssertionError) as failure:
                broken[operation.label] = str(failure)
    assert not broken, "\n".join(f"{label}: {text}" for label, text in broken.items())
    assert not [line for line in part.log() if "exception" in line]


@pytest.mark.parametrize("surface", SURFACES)
def test_document_that_is_served_is_the_one_in_docs(
    parts: dict[str, Process], surface: str
) -> None:
    """But for the console's paths, which a node without a console has not."""
    name, port = SURFACES[surface]
    ready = parts[name].ready
    assert ready is not None
    served = httpx.get(f"{ready[port]}/openapi.json", trust_env=False).json()
    file = json.loads((DOCS / f"openapi-{surface.replace(', ', '-')}.json").read_text("utf-8"))
    lacking = set(file["paths"]) - set(served["paths"])
    assert lacking == ({"/v1/flows/follow"} if port == "internal" else set())
    for path in lacking:
        del file["paths"][path]
    assert served["paths"] == file["paths"]
    assert served["info"] == file["info"]


def ask(
    operation: schemathesis.APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    token: dict[str, str],
) -> None:
    """Often, with and without a token; an operation that takes nothing has no request that does not fit."""

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), headers=st.sampled_from([token, {}]))
    def holds(case: schemathesis.Case[Any], headers: dict[str, str]) -> None:
        answer = case.call(headers=headers, timeout=10)
        assert answer.status_code != 500, answer.text
        case.validate_response(answer, checks=HOLDS)

    if mode is GenerationMode.NEGATIVE:
        with contextlib.suppress(Unsatisfiable):
            holds()
    else:
        holds()
