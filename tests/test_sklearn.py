"""`BywayClassifier` and `BywayRegressor`: scikit-learn's own suite, pipelines and grids, and the
networks' answers worked out by hand.
"""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    estimator_checks_generator,
)

import byway
from byway import BywayClassifier, BywayRegressor
from byway.core.errors import ConfigError

X, NUMBERS = load_iris(return_X_y=True)
Y = np.array(["setosa", "versicolor", "virginica"])[NUMBERS]
SMALL = {
    "hidden": (8,),
    "epochs": 20,
    "batch": 16,
    "lr": 0.1,
    "optimiser": "sgd",
    "schedule": "constant",
    "random_state": 0,
}
# On numbers that nobody scaled plain descent by so large a rate diverges.
STEADY = {BywayClassifier: {}, BywayRegressor: {"optimiser": "adam", "lr": 0.01, "epochs": 60}}
# None: scikit-learn's whole suite holds.
EXPECTED_FAILED_CHECKS = {}
# Those that train on shapes of their own and so compile for a second or more each.
MANY_FITS = {
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_n_features_in_after_fitting",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_dtype_object",
    "check_pipeline_consistency",
    "check_estimators_nan_inf",
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_decision_proba_consistency",
    "check_fit2d_1feature",
    "check_fit_check_is_fitted",
    "check_fit_score_takes_y",
    "check_supervised_y_2d",
    "check_f_contiguous_array_estimator",
    "check_n_features_in",
    "check_regressor_data_not_an_array",
    "check_regressor_multioutput",
    "check_regressors_int",
    "check_regressors_train",
}


@pytest.fixture(autouse=True, scope="module")
def _programs_are_kept(tmp_path_factory):
    """Small programs too, so that each is compiled once for all of these tests."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    for name, value in zip(names, (str(tmp_path_factory.mktemp("programs")), 0.0), strict=True):
        jax.config.update(name, value)
    yield
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)


def _checks():
    for kind in (BywayClassifier, BywayRegressor):
        every = estimator_checks_generator(
            kind(**SMALL | STEADY[kind]),
            expected_failed_checks=EXPECTED_FAILED_CHECKS,
            mark="xfail",
        )
        for number, (estimator, check) in enumerate(every):
            name = check.func.__name__
            # What does not train shares its code with the classifier.
            slow = name in MANY_FITS or kind is BywayRegressor
            yield pytest.param(
                estimator,
                check,
                id=f"{kind.__name__}-{name}-{number}",
                marks=[pytest.mark.slow] if slow else [],
            )


@pytest.mark.parametrize(("estimator", "check"), list(_checks()))
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [BywayClassifier, BywayRegressor])
def test_names_of_columns(kind):
    check_dataframe_column_names_consistency(kind.__name__, kind(**SMALL | STEADY[kind]))


@pytest.fixture(scope="module")
def fitted():
    return BywayClassifier(**SMALL | {"lr": 0.01}).fit(
        pd.DataFrame(X, columns=list("abcd")), pd.Series(Y)
    )


def _outputs_by_hand(classifier, x):
    """One layer of relus, in NumPy."""
    first, last = (classifier.net_.theta[name] for name in ("input-hidden1", "hidden1-output"))
    w, b, v, c = (np.asarray(part[name]) for part in (first, last) for name in ("weight", "bias"))
    return np.maximum(x @ w + b, 0) @ v + c


def test_its_answers_are_those_of_the_network(fitted):
    frame, outputs = pd.DataFrame(X, columns=list("abcd")), _outputs_by_hand(fitted, X)
    np.testing.assert_allclose(fitted.decision_function(frame), outputs, rtol=1e-10)
    np.testing.assert_allclose(fitted.predict_proba(frame), softmax(outputs, 1), rtol=1e-10)
    assert fitted.predict(frame).tolist() == fitted.classes_[outputs.argmax(1)].tolist()
    assert fitted.feature_names_in_.tolist() == list("abcd")
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert len(fitted.loss_curve_) == 20
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]


@pytest.mark.slow
def test_a_rule_that_writes_the_label_gets_inputs_for_it():
    """Forward-forward answers with the goodness of each label, written before the four columns and
    not over them.
    """
    x = StandardScaler().fit_transform(X)
    fitted = BywayClassifier("ff", hidden=(64,), epochs=60, batch=15, random_state=0).fit(x, Y)
    first = fitted.net_.theta["input-hidden1"]
    expected = np.zeros((len(x), 3))
    for label in range(3):
        z = np.column_stack([np.tile(np.eye(3)[label], (len(x), 1)), x])
        h = np.maximum(
            z / np.sqrt((z**2).mean(1, keepdims=True)) @ np.asarray(first["weight"])
            + np.asarray(first["bias"]),
            0,
        )
        expected[:, label] = (h**2).sum(1)
    np.testing.assert_allclose(fitted.decision_function(x), expected, rtol=1e-6)
    assert fitted.score(x, Y) > 0.8


def test_more_rows_than_a_chunk_are_answered_in_their_order(fitted):
    many = np.tile(X, (8, 1))[:1100]
    outputs = _outputs_by_hand(fitted, many)
    np.testing.assert_allclose(
        fitted.decision_function(pd.DataFrame(many, columns=list("abcd"))), outputs, rtol=1e-10
    )


def test_a_grid_over_a_pipeline_finds_the_longer_training():
    pipeline = make_pipeline(StandardScaler(), BywayClassifier(**SMALL))
    grid = GridSearchCV(pipeline, {"bywayclassifier__epochs": [1, 60]}, cv=2, refit=False).fit(X, Y)
    assert grid.best_params_ == {"bywayclassifier__epochs": 60}
    assert grid.best_score_ > 0.85  # nearest class mean: 0.84 to 0.86 on these folds


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rule": "dfaa"}, byway.BywayError, "did you mean 'dfa'"),
        ({"rule": "bptt"}, byway.BywayError, "goes through whole sequences"),
        ({"rule": byway.rule("dfa"), "rule_options": {"scale": 1.0}}, ConfigError, "made already"),
        ({"batch": 0}, ConfigError, "a batch of 0"),
        ({"lr": 1e200, "activation": "identity"}, ConfigError, "StandardScaler"),
    ],
)
def test_what_cannot_be_trained_says_why(options, error, words):
    with pytest.raises(error, match=words):
        BywayClassifier(**SMALL | options).fit(X, Y)


def test_labels_of_one_class_are_refused_both_ways():
    for error in (ValueError, byway.BywayError):
        with pytest.raises(error, match="labels of one class, 'a'"):
            BywayClassifier(**SMALL).fit(X, ["a"] * len(X))


@pytest.mark.slow
def test_advice_of_the_rule_becomes_a_warning():
    with pytest.warns(ConvergenceWarning, match="settl"):
        BywayClassifier(
            **SMALL | {"rule": "pc", "rule_options": {"steps": 1, "tolerance": 1e-9}, "epochs": 1}
        ).fit(X, Y)


LENGTHS = np.stack([10 + X[:, 3], 1e3 * X[:, 2] - X[:, 0]], 1)


def test_a_regressor_predicts_in_the_units_of_y():
    """Of several numbers at once, in NumPy from the network; R² as scikit-learn has it; and one
    that stops early keeps the share aside that scikit-learn draws.
    """
    x = StandardScaler().fit_transform(X[:, :3])
    fitted = BywayRegressor(**SMALL | {"rule": "bp", "epochs": 40}).fit(x, LENGTHS)
    outputs = _outputs_by_hand(fitted, x)
    expected = outputs * LENGTHS.std(0) + LENGTHS.mean(0)
    np.testing.assert_allclose(fitted.predict(x), expected, rtol=1e-10)
    assert fitted.score(x, LENGTHS) == pytest.approx(r2_score(LENGTHS, expected))
    assert fitted.score(x, LENGTHS) > 0.8 and fitted.n_iter_ == 40
    one = BywayRegressor(**SMALL | {"rule": "bp", "epochs": 2}).fit(X, np.full(len(X), 7.0))
    np.testing.assert_allclose(one.predict(X), 7.0, atol=1.0)
    assert one.predict(X).shape == (150,)


def test_what_was_fitted_stands_alone(fitted, tmp_path):
    fitted.predictor_.save(tmp_path / "net.byway")
    there = byway.load(tmp_path / "net.byway")
    frame = pd.DataFrame(X, columns=list("abcd"))
    assert there.predict(X).tolist() == fitted.predict(frame).tolist()
    np.testing.assert_array_equal(there.predict_proba(X), fitted.predict_proba(frame))


def test_patience_stops_on_samples_kept_aside():
    """A rate of nearly nothing never gets better, so it stops as soon as it may; without samples
    to keep aside it is refused.
    """
    options = SMALL | {"lr": 1e-12, "patience": 2, "epochs": 20, "validation": 0.2}
    assert BywayClassifier(**options).fit(X, Y).n_iter_ == 2
    for share in (0.0, 1.0, float("nan"), 1e-6):
        with pytest.raises(ConfigError, match="validation = "):
            BywayClassifier(**options | {"validation": share}).fit(X, Y)
