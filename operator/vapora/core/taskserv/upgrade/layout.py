"""Which Deployments run which revision, how large they are, and which of them is served.

A canary and a blue-green upgrade run the new revision in a second Deployment. When it is done, that one is the
service's, and the former goes: at rest there is always one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vapora.api.taskserv import TaskservSpec
from vapora.core.conditions import timestamp
from vapora.core.plan import Manifest
from vapora.core.taskserv.upgrade.canary import ALL, count_share, find_hold, list_shares
from vapora.core.taskserv.upgrade.revisions import History, Revision
from vapora.core.taskserv.upgrade.rollout import Rollout
from vapora.core.views import WorkloadView, child, parse_time, text

BLUE, GREEN = "blue", "green"
# How long the former Deployment runs on after the Service has turned away from it, which takes a while to be known.
_RETIRES_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Placement:
    """Is one Deployment: `replicas` is None where an HPA owns its size."""

    track: str
    revision: Revision
    replicas: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Is what is to run. `share` is how much of the traffic the candidate gets by a route's weights.

    `retiring` is the track of a Deployment that is left as it is for a moment, before it goes.
    """

    active: Placement
    candidate: Placement | None = None
    share: int = 0
    rollout: Rollout | None = None
    retiring: str = ""
    retiring_since: datetime | None = None
    due: datetime | None = None

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Is every Deployment that is kept as it should be."""
        return (self.active, self.candidate) if self.candidate else (self.active,)

    def write(self) -> Manifest:
        """Writes what the next look must know, as parts of the status."""
        said: dict[str, object] = {"track": None if self.active.track == BLUE else self.active.track}
        if self.rollout:
            said["rollout"] = self.rollout.write()
        if self.retiring and self.retiring_since:
            said["retiring"] = {"track": self.retiring, "since": timestamp(self.retiring_since)}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Tracks:
    """Is what is there of the two Deployments; `active` is the track that is served."""

    active: str
    views: tuple[tuple[str, WorkloadView], ...]

    def find(self, track: str) -> WorkloadView | None:
        """Returns a track's Deployment."""
        return next((view for name, view in self.views if name == track), None)

    @property
    def other(self) -> str:
        """Is the track that is not served."""
        return other_track(self.active)


def other_track(track: str) -> str:
    """Returns the other one of the two."""
    return GREEN if track == BLUE else BLUE


def read_active(status: Manifest) -> str:
    """Returns the track that is served."""
    return text(status, "track") or BLUE


def is_weighted(spec: TaskservSpec) -> bool:
    """Is true where a Gateway shares the traffic out by weights."""
    return spec.exposure == "public" and spec.gateway is not None


def is_selective(spec: TaskservSpec) -> bool:
    """Is true where the Service leads to one Deployment alone: the other has no traffic, or a weight of its own."""
    strategy = spec.upgrade.strategy
    return spec.type == "service" and (strategy == "bluegreen" or (strategy == "canary" and is_weighted(spec)))


def build_layout(
    status: Manifest,
    spec: TaskservSpec,
    history: History,
    target: Revision,
    tracks: Tracks,
    rollout: Rollout | None,
    *,
    is_pinned: bool,
    wanted: int,
    now: datetime,
) -> Layout:
    """Says what is to run; `wanted` is the whole size, also where an HPA owns it."""
    view = tracks.find(tracks.active)
    size = None if spec.scaling else wanted
    former = history.find_digest(view.revision) if view else None
    is_beside = spec.type == "service" and spec.upgrade.strategy in {"canary", "bluegreen"} and not is_pinned
    if not is_beside or former is None or former == target or rollout is None:
        plain = Layout(Placement(tracks.active, target, size), rollout=rollout)
        return _retire(plain, status, now)
    return _lay_beside(spec, former, target, tracks, rollout, wanted=wanted, size=size, now=now)


def _lay_beside(
    spec: TaskservSpec,
    former: Revision,
    target: Revision,
    tracks: Tracks,
    rollout: Rollout,
    *,
    wanted: int,
    size: int | None,
    now: datetime,
) -> Layout:
    """Runs the new revision beside the former one, with the share that is due."""
    shares = list_shares(spec)
    rollout = replace(rollout, step=min(rollout.step, len(shares) - 1))  # there may be fewer than before
    rollout, end = _move(spec, rollout, tracks.find(tracks.other), target, wanted, now)
    if rollout.step >= len(shares):
        keeps_former = is_selective(spec)
        done = Layout(Placement(tracks.other, target, size), rollout=replace(rollout, held_at=None, step=0))
        if not keeps_former:
            return done
        return replace(done, retiring=tracks.active, retiring_since=now, due=now + _RETIRES_AFTER)
    share = shares[rollout.step]
    count = count_share(wanted, share)
    active = Placement(tracks.active, former, size)
    if not is_selective(spec):
        came = tracks.find(tracks.other)
        there = min(count, came.available) if came and came.revision == target.digest else 0
        active = replace(active, replicas=max(wanted - there, 0 if share == ALL else 1))
    weight = share if is_weighted(spec) and spec.upgrade.strategy == "canary" else 0
    is_there = rollout.held_at is not None
    return Layout(active, Placement(tracks.other, target, count), weight if is_there else 0, rollout, due=end)


def _move(
    spec: TaskservSpec, rollout: Rollout, came: WorkloadView | None, target: Revision, wanted: int, now: datetime
) -> tuple[Rollout, datetime | None]:
    """Goes on to the next share once the present one has been there for long enough; says when that will be."""
    count = count_share(wanted, list_shares(spec)[rollout.step])
    is_there = came is not None and came.revision == target.digest and came.is_settled and came.replicas == count
    if not is_there:
        return replace(rollout, held_at=None), None
    held_at = rollout.held_at or now
    end = held_at + timedelta(seconds=find_hold(spec))
    if now < end:
        return replace(rollout, held_at=held_at), end
    return replace(rollout, step=rollout.step + 1, held_at=None, moved=rollout.moved + 1, moved_at=now), None


def _retire(layout: Layout, status: Manifest, now: datetime) -> Layout:
    """Keeps the former Deployment until everybody knows that the Service has turned away from it."""
    said = child(status, "retiring")
    since, track = parse_time(said.get("since")), text(said, "track")
    if since is None or track == layout.active.track or now >= since + _RETIRES_AFTER:
        return layout
    return replace(layout, retiring=track, retiring_since=since, due=since + _RETIRES_AFTER)
