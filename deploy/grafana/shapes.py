"""What a dashboard is made of, and the JSON that Grafana wants of it (classic model, schema 41; pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from string import ascii_uppercase
from typing import Any

__all__ = ["SCHEMA", "Panel", "Query", "Row", "Variable", "dashboard"]

SCHEMA = 41
"""Of Grafana 11.6 and later; those migrate it themselves."""

_COLUMNS = 24
_GRAPH_HEIGHT = 8
_STAT_HEIGHT = 4
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """``legend`` names the series, with labels in double braces; ``has_exemplars`` shows the traces of single events."""

    expression: str
    legend: str = ""
    has_exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Queries drawn together.

    ``unit`` is one of Grafana's; ``bound`` is drawn as a line, where an alert has it; a panel ``is_stat`` shows the last
    value in large; ``width`` in columns of 24.
    """

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    about: str = ""
    width: int = 8
    bound: float | None = None
    is_stacked: bool = False
    is_stat: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top: the values of ``label`` in ``of``; ``everything`` is the pattern that stands for all."""

    name: str
    of: str
    label: str
    everything: str


def dashboard(
    title: str, uid: str, *, variables: Sequence[Variable], alarms: str, rows: Sequence[Row]
) -> _Json:
    """The whole document; ``alarms`` is the expression whose series mark the graphs."""
    return {
        "annotations": {"list": [_alarms(alarms)]},
        "editable": True,
        "graphTooltip": 1,
        "id": None,
        "links": [],
        "panels": list(_placed(rows)),
        "refresh": "30s",
        "schemaVersion": SCHEMA,
        "tags": ["tidewire"],
        "templating": {"list": [_source(), *map(_variable, variables)]},
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": title,
        "uid": uid,
        "version": 1,
    }


def _placed(rows: Sequence[Row]) -> Iterator[_Json]:
    """Rows one below the other; in each, panels from the left, a new line where the next does not fit."""
    ids, y = count(1), 0
    for row in rows:
        yield {
            "collapsed": False,
            "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": y},
            "id": next(ids),
            "panels": [],
            "title": row.title,
            "type": "row",
        }
        y, x, tallest = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _COLUMNS:
                y, x, tallest = y + tallest, 0, 0
            height = _STAT_HEIGHT if panel.is_stat else _GRAPH_HEIGHT
            place = {"h": height, "w": panel.width, "x": x, "y": y}
            yield {"gridPos": place, "id": next(ids)} | _panel(panel)
            x, tallest = x + panel.width, max(tallest, height)
        y += tallest


def _panel(panel: Panel) -> _Json:
    return {
        "datasource": _SOURCE,
        "description": panel.about,
        "fieldConfig": {
            "defaults": {
                "color": {"mode": "thresholds" if panel.is_stat else "palette-classic"},
                "custom": {} if panel.is_stat else _drawn(panel),
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": _steps(panel.bound)},
                "unit": panel.unit,
            },
            "overrides": [],
        },
        "options": _STAT if panel.is_stat else _GRAPH,
        "targets": [
            _target(query, letter, is_instant=panel.is_stat)
            for query, letter in zip(panel.queries, ascii_uppercase, strict=False)
        ],
        "title": panel.title,
        "type": "stat" if panel.is_stat else "timeseries",
    }


_GRAPH: Mapping[str, Any] = {
    "legend": {
        "calcs": ["lastNotNull", "max"],
        "displayMode": "table",
        "placement": "bottom",
        "showLegend": True,
    },
    "tooltip": {"mode": "multi", "sort": "desc"},
}
_STAT: Mapping[str, Any] = {
    "colorMode": "value",
    "graphMode": "none",
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "textMode": "auto",
}


def _drawn(panel: Panel) -> _Json:
    return {
        "drawStyle": "line",
        "fillOpacity": 30 if panel.is_stacked else 0,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if panel.is_stacked else "none"},
        "thresholdsStyle": {"mode": "off" if panel.bound is None else "line"},
    }


def _steps(bound: float | None) -> list[_Json]:
    steps: list[_Json] = [{"color": "green", "value": None}]
    return steps if bound is None else [*steps, {"color": "red", "value": bound}]


def _target(query: Query, letter: str, *, is_instant: bool) -> _Json:
    return {
        "datasource": _SOURCE,
        "editorMode": "code",
        "exemplar": query.has_exemplars,
        "expr": query.expression,
        "instant": is_instant,
        "legendFormat": query.legend or "__auto",
        "range": not is_instant,
        "refId": letter,
    }


def _alarms(expression: str) -> _Json:
    return {
        "datasource": _SOURCE,
        "enable": True,
        "expr": expression,
        "iconColor": "red",
        "name": "Alarms",
        "step": "30s",
        "tagKeys": "severity,job,instance",
        "titleFormat": "{{alertname}}",
    }


def _source() -> _Json:
    return {
        "label": "Prometheus",
        "name": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "type": "datasource",
    }


def _variable(variable: Variable) -> _Json:
    query = f"label_values({variable.of}, {variable.label})"
    return {
        "allValue": variable.everything,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": _SOURCE,
        "definition": query,
        "includeAll": True,
        "label": variable.name.capitalize(),
        "multi": True,
        "name": variable.name,
        "query": {"query": query, "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "type": "query",
    }
