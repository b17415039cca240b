"""The few forms that the dashboard's expressions have (pure)."""

from collections.abc import Sequence

__all__ = ["chosen", "mean", "per_second", "quantile", "recorded", "total"]

_WINDOW = "$__rate_interval"


def chosen(metric: str, match: str = "") -> str:
    """The series of a metric in the jobs and instances that were chosen; ``match`` are more matchers."""
    matchers = ['job=~"$job"', 'instance=~"$instance"', *([match] if match else [])]
    return f"{metric}{{{', '.join(matchers)}}}"


def recorded(name: str) -> str:
    """What an alert judges by: a recording rule's series, whose level says which of job and instance it knows."""
    level, _, _ = name.partition(":")
    return chosen(name) if level == "instance" else f'{name}{{job=~"$job"}}'


def total(metric: str, *by: str, match: str = "") -> str:
    """A gauge summed up, apart by labels."""
    return f"{_sum(by)}({chosen(metric, match)})"


def per_second(metric: str, *by: str, match: str = "") -> str:
    """A counter's rate summed up, apart by labels."""
    return f"{_sum(by)}(rate({chosen(metric, match)}[{_WINDOW}]))"


def quantile(share: float, histogram: str, *by: str) -> str:
    return f"histogram_quantile({share:g}, {per_second(histogram + '_bucket', *by, 'le')})"


def mean(histogram: str) -> str:
    return f"{per_second(histogram + '_sum')} / {per_second(histogram + '_count')}"


def _sum(by: Sequence[str]) -> str:
    return f"sum by ({', '.join(by)}) " if by else "sum"
