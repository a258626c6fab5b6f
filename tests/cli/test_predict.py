"""`byway predict`: its table against the network's own answers; samples of every kind; and what
cannot be.
"""

import csv
import io

import jax
import numpy as np
import pytest
from PIL import Image

import byway
from byway.cli.main import main
from byway.core.encoding import Encoding
from byway.training.predictor import Predictor

DRAW = np.random.default_rng(0)
X = DRAW.normal(0, 3, (30, 2))
Y = np.array(["no", "yes", "maybe"])[np.arange(30) % 3]


def made(net, encoding, rule="bp"):
    """A network as it was drawn, which answers all the same."""
    rule = byway.rule(rule)
    return Predictor(net, rule, rule.init(net, jax.random.key(1)), encoding, jax.random.key(0))


CLASSES = ("maybe", "no", "yes")
FLAT = made(byway.mlp(2, 3, 3, key=1), Encoding(shape=(2,), labels=CLASSES, loss="cross_entropy"))
PICTURES = made(
    byway.mlp((4, 4, 3), 3, 2, key=1), Encoding(shape=(4, 4, 3), levels=255, labels=("cat", "dog"))
)


def written(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return path


@pytest.fixture
def asked(tmp_path, capsys):
    """What `byway predict` prints of a network and data: the rows of its table, and what it says
    beside them.
    """

    def ask(predictor, data, *flags):
        predictor.save(tmp_path / "net.byway")
        status = main(["predict", str(tmp_path / "net.byway"), str(data), *flags])
        said = capsys.readouterr()
        assert status == 0, said.err
        return list(csv.reader(io.StringIO(said.out))), said.err

    return ask


@pytest.fixture
def table(tmp_path):
    rows = [[*x, y] for x, y in zip(X.tolist(), Y, strict=True)]
    return written(tmp_path / "new.csv", ["a", "b", "kind"], rows)


def test_labels_and_probabilities_of_a_table(asked, tmp_path):
    path = written(tmp_path / "bare.csv", ["a", "b"], X.tolist())
    rows, said = asked(FLAT, path, "--probabilities")
    assert rows[0] == ["sample", "prediction", "p(maybe)", "p(no)", "p(yes)"] and not said
    assert [row[:2] for row in rows[1:]] == [
        [str(i), label] for i, label in enumerate(FLAT.predict(X))
    ]
    numbers = np.array([row[2:] for row in rows[1:]], float)
    np.testing.assert_array_equal(numbers, FLAT.predict_proba(X))


@pytest.mark.parametrize("flags", [["--score"], ["--target", "kind"]])
def test_the_right_answers_are_left_out_and_scored(asked, table, flags):
    rows, said = asked(FLAT, table, *flags)
    answers = np.array([row[1] for row in rows[1:]])
    assert answers.tolist() == FLAT.predict(X).tolist()
    assert said == f"accuracy {100 * np.mean(answers == Y):.1f} %\n"


def test_arrays(asked, tmp_path):
    np.savez(tmp_path / "new.npz", x=X, y=Y)
    np.save(tmp_path / "x.npy", X)
    want = ["prediction", *FLAT.predict(X)]
    for name, flags in (("new.npz", ["--score"]), ("new.npz", []), ("x.npy", [])):
        rows, said = asked(FLAT, tmp_path / name, *flags)
        assert [row[1] for row in rows] == want
        assert said.startswith("accuracy") == bool(flags)


def test_numbers_in_their_own_units(asked, tmp_path):
    encoding = Encoding(shape=(1,), target_mean=np.array([5.0, 0]), target_deviation=np.ones(2))
    one = made(byway.mlp(1, 3, 2, key=1), encoding)
    rows, _ = asked(one, written(tmp_path / "a.csv", ["a"], X[:, :1].tolist()))
    assert rows[0] == ["sample", "prediction_1", "prediction_2"]
    wanted = one.predict(X[:, :1])
    np.testing.assert_array_equal(np.array([row[1:] for row in rows[1:]], float), wanted)
    path = written(tmp_path / "b.csv", ["a", "u", "v"], np.hstack([X[:, :1], wanted]).tolist())
    assert asked(one, path, "--target", "u,v")[1] == "R² 1.00\n"


def _picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_pictures_by_their_names(asked, tmp_path):
    """In one folder, or in one for each class, which then can be scored; resized; grey ones too."""
    pixels = DRAW.integers(0, 256, (3, 4, 4, 3)).astype(np.uint8)
    names = ["a-2.png", "a-10.png", "b.png"]
    for name, one in zip(names, pixels, strict=True):
        _picture(tmp_path / "flat" / name, one)
        _picture(tmp_path / "sorted" / "cat" / name, one)
    _picture(tmp_path / "sorted" / "dog" / "c.png", pixels[0].repeat(2, 0).repeat(2, 1))
    answers = PICTURES.predict(pixels).tolist()
    rows, _ = asked(PICTURES, tmp_path / "flat")
    assert rows[1:] == [list(pair) for pair in zip(names, answers, strict=True)]
    rows, said = asked(PICTURES, tmp_path / "sorted", "--score")
    assert [row[0] for row in rows[1:]] == [*(f"cat/{name}" for name in names), "dog/c.png"]
    assert [row[1] for row in rows[1:4]] == answers
    right = sum(row[0].startswith(row[1]) for row in rows[1:])
    assert said == f"accuracy {100 * right / 4:.1f} %\n"
    _picture(tmp_path / "grey" / "g.png", pixels[0, ..., 0])
    rows, _ = asked(PICTURES, tmp_path / "grey")
    grey = PICTURES.predict(pixels[:1, ..., :1].repeat(3, -1)).tolist()
    assert [row[1] for row in rows[1:]] == grey


@pytest.mark.parametrize("at_end", [True, False])
def test_sequences_of_a_table(asked, tmp_path, at_end):
    """Groups as they appear; a row each, or one for each of their steps."""
    labels = (0, 1)
    encoding = Encoding(
        shape=(2,), sequences=True, in_time=True, labels=labels, loss="cross_entropy", at_end=at_end
    )
    one = made(byway.rnn(2, 3, 2, key=1), encoding, "bptt")
    groups = ["b"] * 4 + ["a"] * 2
    path = written(
        tmp_path / "t.csv",
        ["u", "v", "who", "y"],
        [[*x, g, 0] for x, g in zip(X[:6].tolist(), groups, strict=True)],
    )
    flags = ["--group", "who", "--target", "y", "--probabilities"]
    rows, said = asked(one, path, *flags)
    each = [one.predict([part])[0] for part in (X[:4], X[4:6])]
    if at_end:
        wanted = [["b", str(each[0])], ["a", str(each[1])]]
    else:
        wanted = [
            [name, str(step), str(label)]
            for name, part in zip("ba", each, strict=True)
            for step, label in enumerate(part)
        ]
    assert [row[: 3 - at_end] for row in rows[1:]] == wanted
    right = [row[2 - at_end] == "0" for row in rows[1:]]
    assert said == f"accuracy {100 * np.mean(right):.1f} %\n"
    assert all(float(row[-1]) + float(row[-2]) == pytest.approx(1) for row in rows[1:])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = {"epochs": 1, "seeds": 2, "batch": 7, "looks": 0, "progress": False}
    return byway.compare(
        ["bp", "frozen"], byway.mlp(2, 3, 3), byway.Data(X, Y), out=folder, **options
    )


def test_a_network_of_a_run(run, table, tmp_path, capsys):
    out = tmp_path / "answers.csv"
    command = ["predict", str(run.folder), str(table), "--score", "--out", str(out)]
    assert main([*command, "--rule", "bp", "--seed", "1"]) == 0
    said = capsys.readouterr()
    assert said.out == f"written to {out}\n" and said.err.startswith("accuracy")
    answers = run.predictor("bp", 1).predict(X)
    assert out.read_text(encoding="utf-8") == "sample,prediction\n" + "".join(
        f"{i},{label}\n" for i, label in enumerate(answers)
    )
    for more, wanted in (
        ([], "bp, frozen"),
        (["--rule", "dfa"], "no rule of this run called 'dfa'"),
        (["--rule", "bp", "--seed", "7"], "one of 0, 1"),
    ):
        assert main([*command, *more]) == 2
        assert wanted in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "flags", "said"),
    [
        ("nowhere.csv", [], "is not there"),
        ("new.csv", [], "'no' in line 2, column 'kind'"),
        ("new.csv", ["--target", "b"], "column 'kind'"),
        ("new.csv", ["--target", "sort"], "no column 'sort'"),
        ("wide.csv", [], "numbers of shape (3,)"),
        ("other.csv", ["--score"], "the label 'perhaps' in y"),
        ("new.csv", ["--score", "--out", "no/such/folder.csv"], "cannot be written"),
        ("new.csv", ["--score", "--rule", "bp"], "holds one network"),
        ("new.csv", ["--score", "--seed", "3"], "one of 0"),
        ("two.npz", [], "the parts train, test"),
        ("empty", [], "holds no image"),
        ("new.csv", ["--background", "black"], "images"),
    ],
)
def test_what_cannot_be(data, flags, said, table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    FLAT.save("net.byway")
    (tmp_path / "empty").mkdir()
    written(tmp_path / "wide.csv", ["a", "b", "c"], [[1, 2, 3]])
    written(tmp_path / "other.csv", ["a", "b", "kind"], [[1, 2, "perhaps"]])
    np.savez(tmp_path / "two.npz", x=X, x_test=X)
    assert main(["predict", "net.byway", data, *flags]) == 2
    told = capsys.readouterr()
    assert said in told.err and "do:" in told.err
    assert not told.out, "nothing is printed before all of it is known to be right"


def test_probabilities_where_there_are_none(tmp_path, capsys):
    PICTURES.save(tmp_path / "net.byway")
    _picture(tmp_path / "flat" / "a.png", np.zeros((4, 4, 3), np.uint8))
    given = ["predict", str(tmp_path / "net.byway"), str(tmp_path / "flat"), "--probabilities"]
    assert main(given) == 2
    assert "whose outputs are scores" in capsys.readouterr().err
