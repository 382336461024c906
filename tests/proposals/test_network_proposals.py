"""What proposals of every kind of network have in common: how they are saved, loaded and told apart."""

import json

import pytest
import torch

from tests.proposals.conftest import classifier, sst_network, video
from vreloc_pyg.errors import CheckpointError, FeatureError
from vreloc_pyg.proposals.actionness_proposals import ActionnessProposals
from vreloc_pyg.proposals.saved import KINDS, load_network_proposals
from vreloc_pyg.proposals.sst_proposals import SSTProposals
from vreloc_pyg.proposals.tag import TAGSettings

#: By kind: how it is made, and options other than the defaults.
MADE = {
    "actionness": lambda *options, **settings: ActionnessProposals(classifier(**settings), *options),
    "sst": lambda *options, **settings: SSTProposals(sst_network(**settings), *options),
}
OPTIONS = {"actionness": (TAGSettings.paper(), 9), "sst": (9, 0.5)}
both_kinds = pytest.mark.parametrize("kind", KINDS)


@both_kinds
def test_saved_proposals_come_back(tmp_path, kind):
    about = {"classes": ["jump"], "features": None}
    source = MADE[kind](*OPTIONS[kind], about, num_layers=2)
    loaded = load_network_proposals(source.save_pretrained(tmp_path / "model"))
    assert type(loaded) is type(source)
    assert torch.equal(loaded.propose(video()), source.propose(video()))
    assert loaded.fingerprint() == source.fingerprint()
    assert (loaded.about, loaded.settings()) == (about, source.settings())


@both_kinds
def test_the_fingerprint_is_of_settings_and_weights(kind):
    make, (first, second) = MADE[kind], OPTIONS[kind]
    default = {"actionness": TAGSettings(), "sst": 200}[kind]
    sources = [make(), make(seed=1), make(num_layers=3), make(first), make(default, second)]
    assert len({source.fingerprint() for source in sources}) == 5
    assert make().fingerprint() == make(default).fingerprint() == sources[0].fingerprint()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, lambda config, _: config.pop("about")) for kind in KINDS),
        *((kind, lambda config, network: config.pop(network)) for kind in KINDS),
        *((kind, lambda config, network: config[network].update(depth=3)) for kind in KINDS),
        *((kind, lambda config, network: config[network].update(hidden_channels=9)) for kind in KINDS),
        ("actionness", lambda config, _: config["grouping"].update(variant="mine")),
        ("actionness", lambda config, _: config.update(max_proposals=0)),
        ("sst", lambda config, _: config.update(num_proposals=0)),
    ],
)
def test_damaged_settings_are_named(tmp_path, kind, change):
    folder = MADE[kind]().save_pretrained(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    change(config, {"actionness": "classifier", "sst": "network"}[kind])
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="settings"):
        load_network_proposals(folder)


@pytest.mark.parametrize("proposals", [None, "boxes", {"sliding_windows": {}}])
def test_a_folder_that_proposes_nothing_is_refused(tmp_path, proposals):
    (tmp_path / "config.json").write_text(json.dumps({"system": "sst", "proposals": proposals}))
    with pytest.raises(CheckpointError, match=r"proposes nothing: give the folder .* train --system sst"):
        load_network_proposals(tmp_path)


@pytest.mark.parametrize("ask", [classifier().actionness, sst_network().score_anchors])
@pytest.mark.parametrize("shape", [(0, 5), (3, 4), (3,), (1, 3, 5)])
def test_features_that_do_not_fit(ask, shape):
    with pytest.raises(FeatureError, match=r"Expected features as \[num_steps, 5\]"):
        ask(torch.zeros(shape))
