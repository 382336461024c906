"""A folder with query clips, sources, pairs, folds and a skeleton."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.datasets.own_set import FOLDS, PEOPLE, SKELETON, joints, write_own_set
from vreloc_pyg.datasets import ClassFold, Folder, load_task, validate_folder
from vreloc_pyg.datasets.folder_json import read_skeleton
from vreloc_pyg.datasets.task import STEP_WINDOWS
from vreloc_pyg.errors import DataError, FeatureError, SettingsError
from vreloc_pyg.experiments.plan import make_plan
from vreloc_pyg.features.store import PoseStore, open_store
from vreloc_pyg.sequences.pose import Skeleton, normalize_pose, pose_features


def messages(root):
    return [str(problem).replace(f"{root}/", "") for problem in validate_folder(root)]


@pytest.mark.parametrize("dims", [2, 3])
def test_everything_that_can_be_said(tmp_path, dims):
    root = write_own_set(tmp_path / "own", dims)
    assert messages(root) == []
    data = load_task("folder", root, fold=1)
    skeleton = Skeleton(5, dims, (3, 4), (0, 2, 1, 4, 3))
    assert data.skeleton == skeleton
    assert data.features.dim == skeleton.num_features == 10 * dims
    test = data.splits["test"]
    assert test.classes == ("a", "b")
    assert (len(test.pairs), len(test.absent)) == (6, 0)  # those without the action are of fold 0
    for query, reference in map(test.__getitem__, range(len(test))):
        assert not reference.shares_source(query)
        assert query.num_steps == 15
    query = next(one for one in test.queries if one.video_id == "b_carl")
    expected = pose_features(normalize_pose(joints(15, 121, dims).astype(float), skeleton))
    torch.testing.assert_close(query.features, torch.from_numpy(expected))
    # Actions last 15 steps: candidates are half to twice as long.
    assert (data.shortest, data.longest) == (7, 30)
    absent = load_task("folder", root).splits["test"]
    assert (len(absent.pairs), len(absent.absent)) == (6, 6)
    assert {absent.references[r].video_id for _, r in absent.absent} == {"still"}
    for part in data.splits["train"].references:
        assert set(part.labels) <= {"c", "d"}


def test_every_fold_of_a_plan(tmp_path):
    root = write_own_set(tmp_path / "own")
    plan = make_plan("folder", ["rule"], ["all"], root=str(root))
    assert plan.folds == (0, 1)
    assert "all" in plan.words()
    with pytest.raises(SettingsError, match=r"has folds 0 to 1 \(got 2\)"):
        load_task("folder", root, fold=2)
    (tmp_path / "classes.json").write_text(json.dumps(FOLDS[0]))
    with pytest.raises(SettingsError, match=r"has its own folds\.json"):
        load_task("folder", root, classes=tmp_path / "classes.json")


def test_queries_cut_from_videos(tmp_path):
    """With an id of their own, and never searched in the video they are cut from."""
    rows = ["q1,e,long_anna,9,10.5,anna", "q2,e,long_bert,9,10.5,", "q3,f,long_carl,,,x"]
    root = write_own_set(tmp_path / "own", queries=[], pairs=[])
    (root / "pairs.csv").write_text("query,reference\nq1,long_bert\nq2,long_bert\n")
    (root / "queries.csv").write_text("\n".join(["query,label,video,start_s,end_s,source", *rows]) + "\n")
    assert messages(root) == [
        "pairs.csv, line 3: error: searches 'q2' in 'long_bert', which share the source 'long_bert'"
    ]
    (root / "pairs.csv").unlink()
    (root / "folds.json").unlink()
    fold = ClassFold(("e",), ("f",), tuple("abcd"))
    with pytest.raises(DataError, match="No class of the test split of folder"):
        Folder(root).splits(open_store(root / "features"), fold)
    queries = Folder(root)._queries(Folder(root).fitting(open_store(root / "features")), False)
    whole = PoseStore(open_store(root / "features"), read_skeleton(root / "skeleton.json").skeleton)
    assert torch.equal(queries[0].features, whole.read("long_anna", 90, 105))
    assert [(one.video_id, one.sources, one.num_steps) for one in queries] == [
        ("q1", ("long_anna", "anna"), 15),
        ("q2", ("long_bert",), 15),
        ("q3", ("long_carl", "x"), 150),
    ]


def test_pairs_with_every_mistake(tmp_path):
    pairs = [
        "a_anna,long_bert,",  # 2
        "a_anne,long_bert,",
        "a_anna,lang_bert,0",
        "a_anna,long_anna,",  # 5
        "e_bert,long_carl,2",
        "e_bert,long_carl,x",
        ",long_carl,",
        "a_anna,long_bert,1",
    ]
    root = write_own_set(tmp_path / "own", pairs=pairs)
    assert messages(root) == [
        "pairs.csv, line 3: error: names the query 'a_anne', which queries.csv lacks",
        "pairs.csv, line 4: error: names the reference 'lang_bert', which the annotations lack",
        "pairs.csv, line 5: error: searches 'a_anna' in 'long_anna', which share the source 'anna'",
        "pairs.csv, line 6: error: is of fold 2; there are 0 to 1",
        "pairs.csv, line 7: error: has a fold that is no number from 0: 'x'",
        "pairs.csv, line 8: error: has an empty query",
        "pairs.csv, line 9: error: is line 2 again",
    ]
    with pytest.raises(DataError, match=r"pairs.csv, line 3: .*; .*pairs.csv, line 4: .*; 4 more"):
        load_task("folder", root)


def test_queries_with_every_mistake(tmp_path):
    rows = [
        "e_anna,e,anna",
        "e_anna,f,bert",
        "gone,e,bert",
        "f_bert,z,bert",
        ",e,x",
        "e_carl,e,anna;bert;carl",
    ]
    root = write_own_set(tmp_path / "own", queries=rows, pairs=["e_anna,long_carl,"])
    assert messages(root) == [
        "queries.csv, line 3: error: has the query 'e_anna' of line 2 again",
        "queries.csv, line 4: error: query 'gone' has no features in features",
        "queries.csv, line 5: warning: no video shows 'z': there is none to look for 'f_bert' in",
        "queries.csv, line 6: error: has an empty query",
        "queries.csv, line 7: warning: no video of another source shows 'e': "
        "there is none to look for 'e_carl' in",
        "folds.json: error: fold 0 does not name the class 'z', which is shown",
        "folds.json: error: fold 1 does not name the class 'z', which is shown",
    ]


def test_folds_of_one_class_or_of_unknown_ones(tmp_path):
    one = {"train": ["a", "b", "c"], "validation": ["d"], "test": ["e", "f"]}
    other = {"train": ["a", "b"], "validation": ["c", "d"], "test": ["e", "g"]}
    root = write_own_set(tmp_path / "own", folds=[one, other])
    assert messages(root) == [
        "folds.json: error: fold 0 has one class only, 'd', in validation; each split needs two or more",
        "folds.json: error: fold 1 names the class 'g', which nothing shows",
        "folds.json: error: fold 1 does not name the class 'f', which is shown",
    ]
    with pytest.raises(DataError, match=r"folds.json: fold 0 has one class only, 'd', in validation"):
        load_task("folder", root)
    for wrong, problem in (({}, "as a list of class splits"), ([{"train": []}], "fold 0 of .*folds.json")):
        (root / "folds.json").write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=problem):
            load_task("folder", root)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"joints": 6}, r"centre|mirror as all joints 0 to 5"),
        ({"mirror": [0, 2, 3, 1, 4]}, "mirror as all joints 0 to 4, of which some change places in twos"),
        ({"centre": [3]}, "a centre that stays where it is in a mirror"),
        ({"centre": [5, 6]}, "centre as joints from 0 to 4"),
        ({"dims": 4}, r"num_dims as int in \[2, 3\]"),
        ({"groups": [[0, 21]]}, "groups as ranges of the 20 columns"),
        ({"groups": 3}, "is impossible"),
        ({"features": "poses"}, r"features in .*skeleton.json as \"joints\" or \"pose\" \(got 'poses'\)"),
        ({"hands": 2}, "Expected the keys joints, dims, centre, mirror and features in .*skeleton.json"),
    ],
)
def test_impossible_skeletons(tmp_path, changes, problem):
    root = write_own_set(tmp_path / "own", skeleton={**SKELETON, **changes})
    with pytest.raises(DataError, match=problem):
        load_task("folder", root)


def test_a_skeleton_that_does_not_fit_the_features(tmp_path):
    root = write_own_set(tmp_path / "own", skeleton={**SKELETON, "features": "pose"})
    np.save(root / "features/a_anna.npy", np.zeros((15, 20)))
    found = messages(root)
    assert len(found) == 4 + 17  # every file but the one that fits
    assert found[0] == (
        "annotations.csv, line 2: error: 'long_anna' has features of width 10, expected 20: 5 joints in 2 "
        'dimensions and "features": "pose", as skeleton.json says; is "features": "joints" meant?'
    )
    with pytest.raises(DataError, match=r"annotations.csv, line 2: 'long_anna' has features of width 10"):
        load_task("folder", root)


def test_joints_that_were_not_seen_are_interpolated(tmp_path):
    folder = tmp_path / "features"
    folder.mkdir()
    skeleton = Skeleton(5, 2, (3, 4), (0, 2, 1, 4, 3))
    values = np.stack([np.full((5, 2), float(step)) + np.arange(10).reshape(5, 2) for step in range(6)])
    seen = values.copy()
    values[2, 1] = np.nan
    np.save(folder / "flat.npy", values.reshape(6, 10))
    np.save(folder / "a.npy", values)
    np.save(folder / "nobody.npy", np.full((6, 5, 2), np.nan))
    np.save(folder / "infinite.npy", np.where(np.isnan(values), np.inf, values))
    store = PoseStore(open_store(folder), skeleton)
    expected = torch.from_numpy(pose_features(normalize_pose(seen, skeleton)))
    torch.testing.assert_close(store.read("a", 1, 4), expected[1:4])
    assert torch.equal(store.read("flat"), store.read("a"))
    for video, problem in (("nobody", "No joint is visible"), ("infinite", "NaN or infinite")):
        with pytest.raises(FeatureError, match=f"The joints of '{video}' in .* are unusable: .*{problem}"):
            store.read(video)


def test_candidates_are_as_long_as_training_actions_need(tmp_path):
    """Of other features than poses they reach 128 steps at least."""
    root = write_own_set(tmp_path / "own")
    (root / "skeleton.json").unlink()
    assert load_task("folder", root).proposals == STEP_WINDOWS
    for person in PEOPLE:  # ten times as many steps
        np.save(root / f"features/long_{person}.npy", joints(1500, 0))
    (root / "features/metadata.json").write_text('{"frames_per_step": 1, "frame_rate": 100}')
    assert load_task("folder", root).proposals == replace(STEP_WINDOWS, longest=300)


def test_pose_features_are_read_in_another_process(tmp_path):
    root = write_own_set(tmp_path / "own")
    split = load_task("folder", root).splits["test"]
    again = pickle.loads(pickle.dumps(split))
    assert torch.equal(again.queries[0].features, split.queries[0].features)
