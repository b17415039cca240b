"""`tidewire publisher`, `tidewire registry`, `tidewire router`: a service each."""

import typer

from .become import become

__all__ = ["register"]

SERVER = ("fastapi", "httptools", "pydantic_settings", "structlog", "uvicorn")
TARGETED = (*SERVER, "httpx", "redis")


def register(app: typer.Typer) -> None:
    for command in (publisher, registry, router):
        app.command(command.__name__)(command)


def publisher() -> None:
    """Run the publisher: HTTP ingest for services without a Kafka client.

    TIDEWIRE_PUBLISHER__… in the environment or in .env tells it what to do;
    `tidewire config show publisher` shows all of it.

    Exit codes: 0 ended by a signal; 2 it cannot run as it is configured.
    """
    become("publisher", SERVER)


def registry() -> None:
    """Run the registry: which node holds which user.

    TIDEWIRE_REGISTRY__… in the environment or in .env tells it what to do;
    `tidewire config show registry` shows all of it. It asks nobody for a token:
    keep it on an internal network.

    Exit codes: 0 ended by a signal; 2 it cannot run as it is configured.
    """
    become("registry", TARGETED)


def router() -> None:
    """Run a router: it brings messages to the nodes that hold their users.

    TIDEWIRE_ROUTER__… in the environment or in .env tells it what to do;
    `tidewire config show router` shows all of it. There may be several.

    Exit codes: 0 ended by a signal; 2 it cannot run as it is configured.
    """
    become("router", TARGETED)
