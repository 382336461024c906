import library_page
import library_scale
import pytest
import torch

from vreloc_pyg.datasets.splits import Reference
from vreloc_pyg.features.metadata import FeatureMetadata
from vreloc_pyg.library.indexing import index_features
from vreloc_pyg.library.library import Library


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(library_scale, "STEPS", 120)
    library = Library(tmp_path, create=True)
    videos = ((f"video {n}", library_scale.video(n), library_scale.STEP_S) for n in range(4))
    index_features(library, videos, FeatureMetadata(dim=library_scale.WIDTH))
    return library


def test_exhaustive_search_finds_what_ranking_and_comparing_everything_finds(library):
    found = library.searchable()
    queries = [library_scale.asked(number, 4) for number in range(3)]
    exhaustive = library_scale.search_exhaustively(library, found, queries)
    for query, place in zip(queries, exhaustive.best.tolist(), strict=True):
        ranked = []
        for entry in library.entries():
            video = Reference(library.read(entry), library_scale.STEP_S, torch.empty(0, 2), (), entry.name)
            ranking = library_scale.LOCALIZER.rank(query, video)
            best = int(ranking.segments.scores.argmax())
            ranked.append(
                (float(ranking.segments.scores[best]), [entry.number, *ranking.windows[best].tolist()])
            )
        assert max(ranked)[1] == place
        vector = found.descriptors.of_clip(query.features)
        for one, other in zip(exhaustive.search(vector, 20), found.index.search(vector, 20), strict=True):
            torch.testing.assert_close(one, other)
        assert library_scale.holds(found, query, place, 50)
        assert not library_scale.holds(found, query, [place[0], 0, 121], 50)


def test_the_page_holds_the_tables_that_are_there(tmp_path):
    library_page.write_rows(tmp_path, "library_suite", [{"set": "a", "R": 1.5}, {"set": "b", "R": 2}])
    page = (tmp_path / "library.md").read_text()
    assert "| set | R |\n| --- | --- |\n| a | 1.5 |\n| b | 2 |" in page
    assert "Not measured." in page
    assert (tmp_path / "library_suite.csv").read_text() == "set,R\na,1.5\nb,2\n"
    library_page.write_rows(tmp_path, "library_suite", [{"set": "b", "R": 3}], beside=["set"])
    assert (tmp_path / "library_suite.csv").read_text() == "set,R\na,1.5\nb,3\n"
