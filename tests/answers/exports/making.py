"""Moments and videos for the tests of exports."""

from __future__ import annotations

from fractions import Fraction

import av
from hypothesis import strategies as st

from tests.videos import grey
from vreloc_pyg.answers.exports.content import Content
from vreloc_pyg.moments import Moment
from vreloc_pyg.video.facts import VideoFacts

#: The rates that editors use.
RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60000, 1001)]
VIDEO = "/films/a film & <more> 'of' \"it\".mp4"

#: One-line labels with characters that formats give a meaning to.
labels = st.text(st.sampled_from("ab &<>'\"=;#\\,+-@[]{}:|*éßж漢字🎬0"), min_size=1, max_size=12).map(
    lambda text: "".join(text.split()) or "x"
)
#: First frame and length, up to a few hours at any of the rates.
stretches = st.tuples(st.integers(0, 500_000), st.one_of(st.just(1), st.integers(1, 5000)))
rates = st.sampled_from(RATES)


@st.composite
def framed(draw, max_size=6):
    """A rate, and ``(first, stop, label)`` of moments on its frames."""
    rate = draw(rates)
    found = [
        (first, first + length, draw(labels))
        for first, length in draw(st.lists(stretches, max_size=max_size))
    ]
    return rate, found


def content_of(rate, frames, video=VIDEO, score=0.25):
    """Moments that begin and end with these frames."""
    facts = VideoFacts(rate, 10_000.0, (640, 360))
    moments = [
        Moment(video, facts.seconds(first), facts.seconds(stop), score, "sure", label)
        for first, stop, label in frames
    ]
    return Content(moments, {video: facts})


def write_at(path, rate, number=12):
    """A video of so many frames at an exact rate."""
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(number):
            sink.mux(stream.encode(av.VideoFrame.from_ndarray(grey(90), "rgb24")))
        sink.mux(stream.encode(None))
    return path
