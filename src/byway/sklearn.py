"""Byway as a scikit-learn classifier, for pipelines, grid searches and cross-validation."""

import warnings
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from typing_extensions import override

from byway import named
from byway.core.errors import ConfigError, DataError
from byway.core.task import Split
from byway.learning.rule import Rule
from byway.network.activations import Activation
from byway.network.builders import mlp
from byway.tasks._labelled import LabelledTask
from byway.training.fit import fit

# Rows that one compiled prediction takes; fewer are filled up, so that a row's answer does not
# depend on its neighbours' number.
ROWS = 512


class OneClassError(DataError, ValueError):
    """Labels with nothing to tell apart."""


class BywayClassifier(ClassifierMixin, BaseEstimator):
    """A multi-layer perceptron that learns by any of Byway's rules: `byway.fit` as a
    scikit-learn classifier.

    It takes tables of numbers, arrays or data frames, and labels of any kind. Scale the inputs
    first, for example with `StandardScaler` in a pipeline. Nothing is kept aside: whoever calls it
    decides what it is tested on.

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
        loss_curve_: mean training loss of each epoch.
    """

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
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "BywayClassifier":
        """Train from a fresh start.

        Args:
            X (array-like): "samples features".
            y (array-like): as many labels.

        Raises:
            ValueError: no table of finite numbers, or no labels, or labels of one class only.
            ConfigError: a setting outside its range, or a training whose numbers did not stay
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
        self._room = len(self.classes_) if rule.writes_label else 0
        X = self._with_room(X)
        task = _Table(input_shape=(X.shape[1],), outputs=len(self.classes_), spare=self._room)
        net = mlp(
            X.shape[1],
            *self.hidden,
            task.outputs,
            **{"activation": self.activation, **rule.network_options},
        )
        train = Split(jnp.asarray(X), jnp.asarray(numbers.astype(np.int32)))
        batch = min(self.batch, len(X))
        # `fit` measures on two more splits. Nothing depends on them here, so a few samples will do.
        few = Split(train.x[: max(batch, 1)], train.y[: max(batch, 1)])
        result = fit(
            net,
            rule,
            task,
            epochs=self.epochs,
            batch=batch,
            first_seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            optimiser=self.optimiser,
            lr=self.lr,
            schedule=self.schedule,
            looks=0,
            progress=False,
            data={"train": train, "validation": few, "test": few},
        )
        for why in result.failures.values():
            raise ConfigError(
                why,
                "a training whose numbers stay finite",
                "scale the inputs, for example with StandardScaler; or lower lr",
            )
        for advice in result.advice.values():
            warnings.warn(advice, ConvergenceWarning, stacklevel=2)
        learner = result.learner()
        self.rule_, self.net_, self.gamma_ = rule, learner.net, learner.gamma
        self.loss_curve_ = result.history["train/loss"].values[0].tolist()
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

    def _with_room(self, X) -> np.ndarray:
        """Inputs of zero in front of the columns, for a rule that writes the label there."""
        return np.concatenate([np.zeros((len(X), self._room), X.dtype), X], 1)

    def _outputs(self, X) -> np.ndarray:
        check_is_fitted(self)
        X = self._with_room(np.asarray(validate_data(self, X, dtype=_dtype(), reset=False)))
        filled = np.concatenate([X, np.zeros((-len(X) % ROWS, X.shape[1]), X.dtype)])
        chunks = [
            _answer(self.rule_, self.gamma_, self.net_, jnp.asarray(filled[i : i + ROWS]))
            for i in range(0, len(filled), ROWS)
        ]
        return np.concatenate([np.asarray(chunk, float) for chunk in chunks])[: len(X)]


class _Table(LabelledTask):
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


@eqx.filter_jit
def _answer(rule: Rule, gamma: Any, net: Any, x: jax.Array) -> jax.Array:
    return rule.predict(gamma, net, x, jax.random.key(0)).output


def _dtype() -> np.dtype:
    """In what precision JAX computes."""
    return jnp.zeros(()).dtype
