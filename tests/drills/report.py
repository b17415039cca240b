"""What a drill found: figures and requirements (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Report", "Requirement", "Verdict"]

Figure = float | int | str


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Requirement:
    """Something that must hold. ``is_timing``: it says something of the machine too."""

    name: str
    is_met: bool
    said: str
    is_timing: bool = False


@dataclass
class Report:
    """One drill's findings, in the order in which they were made.

    ``is_complete``: the drill was carried to its end, so that what does not hold says something.
    """

    drill: str
    title: str
    figures: dict[str, Figure] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)
    is_complete: bool = False

    def figure(self, name: str, value: Figure) -> None:
        self.figures[name] = round(value, 3) if isinstance(value, float) else value

    def require(self, name: str, is_met: bool, said: object, *, is_timing: bool = False) -> None:
        self.requirements.append(Requirement(name, is_met, str(said), is_timing))

    def broken(self, *, with_timing: bool = True) -> list[Requirement]:
        """What does not hold; a report without requirements holds nothing."""
        if not self.requirements:
            return [Requirement("anything was required", False, "nothing was")]
        return [r for r in self.requirements if not r.is_met and (with_timing or not r.is_timing)]

    @property
    def verdict(self) -> Verdict:
        return Verdict.FAIL if self.broken() else Verdict.PASS

    def to_json(self) -> Mapping[str, object]:
        return {
            "drill": self.drill,
            "title": self.title,
            "verdict": self.verdict,
            "complete": self.is_complete,
            "figures": self.figures,
            "requirements": [
                {"name": r.name, "met": r.is_met, "said": r.said, "timing": r.is_timing}
                for r in self.requirements
            ],
        }


def table(reports: Iterable[Report]) -> str:
    """Drill, figures, verdict; under a failed one, what does not hold."""
    rows = [(r.drill, r.title, _figures(r), r.verdict.value, r) for r in reports]
    width = max((len(title) for _, title, *_ in rows), default=0)
    lines = [f"{'drill':>5}  {'fault':<{width}}  verdict  figures"]
    for number, title, figures, verdict, report in rows:
        lines.append(f"{number:>5}  {title:<{width}}  {verdict:<7}  {figures}")
        lines += [f"{'':>7}{'':<{width}}  not met: {r.name} ({r.said})" for r in report.broken()]
    return "\n".join(lines)


def _figures(report: Report) -> str:
    return " · ".join(f"{name} {value}" for name, value in report.figures.items())
