"""Byway as a scikit-learn classifier and regressor, for pipelines, grid searches and
cross-validation.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from typing_extensions import override

from byway import named
from byway.core.encoding import Encoding
from byway.core.errors import ConfigError, DataError
from byway.core.given import is_number, shown
from byway.core.signal import Closeness, Signal, SquaredError
from byway.core.task import Split, Task
from byway.learning.rule import Rule
from byway.network.activations import Activation
from byway.network.builders import mlp
from byway.tasks._labelled import LabelledTask
from byway.training.fit import fit
from byway.training.predictor import Predictor


class OneClassError(DataError, ValueError):
    """Labels with nothing to tell apart."""


class _Estimator(BaseEstimator):
    """What both have in common: settings, training, and how samples are answered."""

    def __init__(
        self,
        rule: str | Rule = "dfa",
        *,
        rule_options: dict[str, Any] | None = None,
        hidden: Sequence[int] = (128, 128),
        activation: str | Activation = "relu",
        epochs: int = 30,
        batch: int = 32,
        optimiser: str | optax.GradientTransformation = "adam",
        lr: float | None = None,
        schedule: str | None = None,
        patience: int | None = None,
        validation: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ):
        # Nothing is checked before `fit`, as is the custom there.
        self.rule = rule
        self.rule_options = rule_options
        self.hidden = hidden
        self.activation = activation
        self.epochs = epochs
        self.batch = batch
        self.optimiser = optimiser
        self.lr = lr
        self.schedule = schedule
        self.patience = patience
        self.validation = validation
        self.random_state = random_state

    @property
    def predictor_(self) -> Predictor:
        """The trained network as one that stands alone, to be saved: see `byway.load`."""
        check_is_fitted(self)
        return Predictor(
            self.net_, self.rule_, self.gamma_, self._encoding, jax.random.key(0), self._seed
        )

    def _train(self, X: np.ndarray, y: np.ndarray, encoding: Encoding, classes: int) -> None:
        """Train on samples whose y are numbers of classes, or numbers to be predicted."""
        if isinstance(self.rule, Rule) and self.rule_options:
            raise ConfigError(
                "rule_options beside a rule that is made already",
                "a rule's name",
                "set them where the rule is made",
            )
        rule = (
            self.rule
            if isinstance(self.rule, Rule)
            else named.rule(self.rule, **(self.rule_options or {}))
        )
        room = classes if rule.writes_label else 0
        X = np.concatenate([np.zeros((len(X), room), X.dtype), X], 1)
        shape = (X.shape[1],)
        task = (
            _Labels(input_shape=shape, outputs=classes, spare=room)
            if classes
            else _Numbers(input_shape=shape, outputs=y.shape[1])
        )
        net = mlp(
            X.shape[1],
            *self.hidden,
            task.outputs,
            **{"activation": self.activation, **rule.network_options},
        )
        random = check_random_state(self.random_state)
        self._seed = int(random.randint(2**31 - 1))
        train, validation = self._split(X, y, bool(classes))
        batch = min(self.batch, train.size)
        # `fit` measures on a test split too. Nothing depends on it, so a few samples will do; nor
        # on validation, where nothing is to stop early.
        few = Split(train.x[: max(batch, 1)], train.y[: max(batch, 1)])
        stopping = {} if validation is None else {"patience": self.patience, "best": True}
        result = fit(
            net,
            rule,
            task,
            epochs=self.epochs,
            batch=batch,
            first_seed=self._seed,
            optimiser=self.optimiser,
            lr=self.lr,
            schedule=self.schedule,
            looks=0,
            progress=False,
            data={"train": train, "validation": validation or few, "test": few},
            **stopping,
        )
        for why in result.failures.values():
            raise ConfigError(
                why,
                "a run whose numbers stay finite",
                "scale the inputs, for example with StandardScaler; or lower lr",
            )
        for advice in result.advice.values():
            warnings.warn(advice, ConvergenceWarning, stacklevel=3)
        made = result.predictor()
        self.rule_, self.net_, self.gamma_ = rule, made.net, made.gamma
        self.n_iter_ = result.epochs
        self.loss_curve_ = result.history["train/loss"].values[0].tolist()
        self._encoding = dataclasses.replace(encoding, room=room)

    def _split(self, X: np.ndarray, y: np.ndarray, classes: bool) -> tuple[Split, Split | None]:
        """What is trained on, and what is kept aside to stop by."""
        made = lambda x, y: Split(jnp.asarray(x), jnp.asarray(y))
        if self.patience is None:
            return made(X, y), None
        share = self.validation
        if not is_number(share) or not 0 < share < 1:
            raise ConfigError(
                f"validation = {shown(share)}", "a share between 0 and 1", "leave it out for 0.1"
            )
        try:
            parts: Any = train_test_split(
                X, y, test_size=share, random_state=self._seed, stratify=y if classes else None
            )
        except ValueError as problem:
            raise ConfigError(
                f"validation = {share:g} of {len(X)} samples: {problem}",
                "a share that leaves some of each class to both parts",
                "raise it, or leave patience out",
            ) from problem
        x, held_x, y, held_y = parts
        return made(x, y), made(held_x, held_y)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        held = np.asarray(validate_data(self, X, dtype=_dtype(), reset=False))
        return self.predictor_.outputs(held).astype(float)


class BywayClassifier(ClassifierMixin, _Estimator):
    """A multi-layer perceptron that learns by any of Byway's rules: `byway.fit` as a
    scikit-learn classifier.

    It takes tables of numbers, arrays or data frames, and labels of any kind. Scale the inputs
    first, for example with `StandardScaler` in a pipeline. Nothing is kept aside unless `patience`
    is given: whoever calls it decides what it is tested on.

    Args:
        rule (str | Rule): a rule's name, or a rule.
        rule_options (dict | None): hyper-parameters of a rule that is given by its name.
        hidden (Sequence[int]): sizes of the hidden layers.
        activation (str | Activation): phi of the hidden layers, by name or any other.
        epochs (int): passes over the samples.
        batch (int): samples in an update; all of them, where there are fewer.
        optimiser (str | optax.GradientTransformation): a name, or any optax transformation.
        lr (float | None): learning rate; the rule's own by default.
        schedule (str | None): "cosine" (to zero over the run), the default, or "constant".
        patience (int | None): stop after so many epochs without a better score on samples that are
            kept aside, and keep the best epoch; by default nothing is kept aside.
        validation (float): the share that is kept aside for that.
        random_state (int | RandomState | None): a seed, a `RandomState`, or None for a new seed
            each time.

    Attributes:
        classes_: the labels, in the order of the columns of `predict_proba`.
        n_features_in_: how many columns the inputs have.
        feature_names_in_: what they are called, where they came with text for names.
        net_: the trained network; of a rule that writes the label into its input (`ff`), with an
            input for each class before the columns.
        rule_: the rule that trained it.
        gamma_: the rule's own parameters.
        n_iter_: epochs that were trained.
        loss_curve_: mean training loss of each epoch.
    """

    def fit(self, X: Any, y: Any) -> "BywayClassifier":
        """Train from a fresh start.

        Args:
            X (array-like): "samples features".
            y (array-like): as many labels.

        Raises:
            ValueError: no table of finite numbers, or no labels, or labels of one class only.
            ConfigError: a setting outside its range, or a run whose numbers did not stay
                finite.
        """
        checked = validate_data(self, X, y, dtype=_dtype())
        X, y = np.asarray(checked[0]), column_or_1d(checked[1], warn=True)
        check_classification_targets(y)
        self.classes_: np.ndarray
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise OneClassError(
                f"labels of one class, {self.classes_.tolist()[0]!r}",
                "two classes or more",
                "give samples of another class too",
            )
        labels = tuple(self.classes_.tolist())
        encoding = Encoding(shape=X.shape[1:], labels=labels, loss="cross_entropy")
        self._train(X, numbers.astype(np.int32), encoding, len(labels))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        best = np.argmax(self._outputs(X), 1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, "samples classes"."""
        return softmax(self._outputs(X), axis=1)

    def decision_function(self, X: Any) -> np.ndarray:
        """The network's outputs, "samples classes", whose softmax are the probabilities; of two
        classes their difference, "samples".
        """
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs


class BywayRegressor(RegressorMixin, MultiOutputMixin, _Estimator):
    """A multi-layer perceptron that learns numbers by any of Byway's rules: `byway.fit` as a
    scikit-learn regressor, for one output or several.

    It takes tables of numbers, arrays or data frames. Scale the inputs first, for example with
    `StandardScaler` in a pipeline; y is standardised by itself, and predictions are in its units.
    `score` is R². Nothing is kept aside unless `patience` is given. Its settings are those of
    `BywayClassifier`.

    Attributes:
        n_features_in_: how many columns the inputs have.
        feature_names_in_: what they are called, where they came with text for names.
        net_: the trained network, whose outputs are standardised.
        rule_: the rule that trained it.
        gamma_: the rule's own parameters.
        n_iter_: epochs that were trained.
        loss_curve_: mean training loss of each epoch, of standardised numbers.
    """

    def fit(self, X: Any, y: Any) -> "BywayRegressor":
        """Train from a fresh start.

        Args:
            X (array-like): "samples features".
            y (array-like): as many numbers, "samples" or "samples outputs".

        Raises:
            ValueError: no tables of finite numbers.
            ConfigError: a setting outside its range, or a run whose numbers did not stay
                finite.
        """
        checked = validate_data(self, X, y, dtype=_dtype(), y_numeric=True, multi_output=True)
        X, y = np.asarray(checked[0]), np.asarray(checked[1], float)
        numbers = y.reshape(len(y), -1)
        mean, deviation = numbers.mean(0), numbers.std(0)
        # Of equal numbers rounding may leave a little.
        deviation = np.where(np.ptp(numbers, 0) > 0, deviation, 1.0)
        encoding = Encoding(
            shape=X.shape[1:],
            target_mean=mean,
            target_deviation=deviation,
            flat=y.ndim == 1,
            loss="squared_error",
        )
        self._train(X, ((numbers - mean) / deviation).astype(_dtype()), encoding, 0)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each row, "samples" or "samples outputs" as `fit` was given them."""
        outputs = self._outputs(X)
        return self._encoding.answers(outputs)


class _Labels(LabelledTask):
    """The samples that `BywayClassifier` was given: it hands them to `fit` itself."""

    input_shape: tuple[int, ...] = eqx.field(static=True, default=())
    outputs: int = eqx.field(static=True, default=0)
    spare: int = eqx.field(static=True, default=0)

    @override
    def load(self):
        return {}

    @override
    def scaled(self, x):
        return x


class _Numbers(Task):
    """The samples that `BywayRegressor` was given: it hands them to `fit` itself."""

    input_shape: tuple[int, ...] = eqx.field(static=True, default=())
    outputs: int = eqx.field(static=True, default=0)

    @override
    def load(self):
        return {}

    @override
    def batch(self, split, index, key):
        return split.x[index], Signal(split.y[index], SquaredError(), payoff=Closeness())


def _dtype() -> np.dtype:
    """In what precision JAX computes."""
    return jnp.zeros(()).dtype
