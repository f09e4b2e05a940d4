"""Answer the pages about edges and ledgers."""

from dataclasses import dataclass
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response

from face_app.cloud.gallery.gallery import Gallery
from face_app.cloud.gallery.ledger_view import gaps_text, ledger_view
from face_app.cloud.gallery.pages.render import Renderer


@dataclass(frozen=True)
class EdgesPage:
    """Answers ``/edges``."""

    gallery: Gallery
    renderer: Renderer

    def answer(self, request: Request) -> Response:
        """Show the cameras of each edge, and their states."""
        states = self.gallery.states.states()
        # `states` returns them in the order of edges, as groupby needs it.
        by_edge = [(edge, list(cameras)) for edge, cameras in groupby(states, lambda state: state.edge)]
        stored = {(edge, camera): faces for edge, camera, faces in self.gallery.queries.cameras()}
        without_state = sorted(stored.keys() - {(state.edge, state.camera) for state in states})
        return self.renderer.page(request, "edges.html", edges=by_edge, stored=stored, without_state=without_state)


@dataclass(frozen=True)
class LedgersPage:
    """Answers ``/ledgers``."""

    gallery: Gallery
    renderer: Renderer

    def answer(self, request: Request) -> Response:
        """Show what the bucket proves."""
        return self.renderer.page(request, "ledgers.html", ledgers=ledger_view(self.gallery), gaps_text=gaps_text)
