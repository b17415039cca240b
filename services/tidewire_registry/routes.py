"""The HTTP surface: which path asks for what, and how OpenAPI tells it."""

from collections.abc import Callable

from fastapi import APIRouter, Response

from tidewire.http.health import health_router

from .endpoints import Endpoints
from .models import (
    AnnounceBody,
    Announced,
    Disconnected,
    LeaseBody,
    LookupBody,
    NodeBody,
    Nodes,
    NodeSessions,
    Places,
    RenewBody,
    Renewed,
    UserView,
)
from .openapi import body_of, responses_of

__all__ = ["router_of"]

_LOST = "`lease-lost`: the epoch is not that of the node's live lease"
_NOT_TAKEN = f"{_LOST}; or `batch-overtaken`: a batch of a higher `number` was taken under it"
_NO_SLOT = "`no-free-slot`, or `node-name-taken`: another process holds a live lease under the name"


def router_of(endpoints: Endpoints) -> APIRouter:
    router = APIRouter()
    add: Callable[..., None] = router.add_api_route
    add(
        "/v1/nodes",
        endpoints.register,
        methods=["POST"],
        status_code=201,
        summary="Take a slot: a lease under a new epoch",
        response_model=LeaseBody,
        responses=responses_of(400, 408, 413, 422, conflict=_NO_SLOT),
        openapi_extra=body_of(NodeBody),
    )
    add(
        "/v1/nodes",
        endpoints.nodes,
        methods=["GET"],
        summary="Every node that holds a lease, or did a moment ago",
        response_model=Nodes,
        responses=responses_of(),
    )
    add(
        "/v1/nodes/{node}/lease",
        endpoints.renew,
        methods=["PUT"],
        summary="Hold the lease, tell state and load",
        response_model=Renewed,
        responses=responses_of(400, 408, 413, 422, conflict=_LOST),
        openapi_extra=body_of(RenewBody),
    )
    add(
        "/v1/nodes/{node}",
        endpoints.release,
        methods=["DELETE"],
        status_code=204,
        response_class=Response,
        summary="Give the slot back; the node's sessions end",
        responses=responses_of(422),
    )
    add(
        "/v1/nodes/{node}/sessions",
        endpoints.node_sessions,
        methods=["GET"],
        summary="The sessions of a node, page by page",
        response_model=NodeSessions,
        responses=responses_of(404, 422),
    )
    add(
        "/v1/sessions",
        endpoints.announce,
        methods=["POST"],
        summary="Who came to a node, and who went",
        response_model=Announced,
        responses=responses_of(400, 408, 413, 422, conflict=_NOT_TAKEN),
        openapi_extra=body_of(AnnounceBody),
    )
    add(
        "/v1/lookup",
        endpoints.lookup,
        methods=["POST"],
        summary="Where users are, 1,000 at most",
        response_model=Places,
        responses=responses_of(400, 408, 413, 422),
        openapi_extra=body_of(LookupBody),
    )
    add(
        "/v1/users/{user:path}/disconnect",
        endpoints.disconnect,
        methods=["POST"],
        summary="End every connection of a user",
        response_model=Disconnected,
        responses=responses_of(404, 422),
    )
    add(
        "/v1/users/{user:path}",
        endpoints.user,
        methods=["GET"],
        summary="Every connection that is written down for a user",
        response_model=UserView,
        responses=responses_of(404, 422),
    )
    router.include_router(health_router(lambda: endpoints.stage))
    add("/metrics", endpoints.metrics, methods=["GET"], include_in_schema=False)
    return router
