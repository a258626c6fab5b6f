"""Byway: train neural networks without backpropagation, and measure what that costs and buys.

All that `import byway` offers. Each name is imported when it is first used.
"""

# Train, and keep what was learnt.
from byway.core.check import Check as Check

# What goes wrong, and what could go better.
from byway.core.errors import BywayError as BywayError
from byway.core.errors import BywayWarning as BywayWarning
from byway.core.hyper import hyper as hyper
from byway.core.metric import Metric as Metric
from byway.core.record import Phase as Phase
from byway.core.record import Record as Record
from byway.core.score import Score as Score
from byway.core.signal import Signal as Signal
from byway.core.task import Task as Task

# Several rules side by side: runs, in memory and on disk.
from byway.experiment.compare import compare as compare
from byway.experiment.compare import train as train
from byway.experiment.reach import reach as reach
from byway.experiment.run import Run as Run
from byway.experiment.study import Study as Study
from byway.experiment.study import open as open
from byway.experiment.tuning import tune as tune

# To grow a network while it learns.
from byway.learning.growth import Growth as Growth
from byway.learning.learner import Learner as Learner
from byway.learning.rule import Claims as Claims
from byway.learning.rule import Pair as Pair

# To write a rule: the pair f and g, and what they hand each other.
from byway.learning.rule import Rule as Rule
from byway.learning.rule import Update as Update
from byway.learning.time import RoundTripRule as RoundTripRule
from byway.learning.time import SequenceRule as SequenceRule
from byway.learning.time import StepRule as StepRule

# What was answered to the test split, and how that is scored class by class.
from byway.metrics.predictions import Confusion as Confusion
from byway.metrics.predictions import Predictions as Predictions

# Rules, tasks, cells and growth policies by their names: rule("dfa", ...); names for your own.
from byway.named import cell as cell
from byway.named import growth as growth
from byway.named import register as register
from byway.named import rule as rule
from byway.named import task as task

# What a unit does with its drive.
from byway.network.activations import Activation as Activation
from byway.network.activations import leaky_relu as leaky_relu
from byway.network.activations import quantised as quantised
from byway.network.blackbox import host as host

# Networks: built, brought from Equinox, and what they are made of.
from byway.network.blocks import BlockFanIn as BlockFanIn
from byway.network.builders import conv_revnet as conv_revnet
from byway.network.builders import convnet as convnet
from byway.network.builders import coupled as coupled
from byway.network.builders import graph as graph
from byway.network.builders import lru as lru
from byway.network.builders import mlp as mlp
from byway.network.builders import ode as ode
from byway.network.builders import orthogonal as orthogonal
from byway.network.builders import revnet as revnet
from byway.network.builders import rnn as rnn
from byway.network.builders import topdown as topdown
from byway.network.cell import Cell as Cell
from byway.network.cell import Local as Local
from byway.network.convolutions import Conv as Conv
from byway.network.convolutions import LocallyConnected as LocallyConnected
from byway.network.equinox import from_equinox as from_equinox
from byway.network.equinox import to_equinox as to_equinox
from byway.network.graph import Form as Form
from byway.network.grown import grownet as grownet
from byway.network.influence import Influence as Influence
from byway.network.influence import Path as Path
from byway.network.influence import influence as influence
from byway.network.lesion import Lesion as Lesion
from byway.network.lesion import lesion as lesion
from byway.network.network import Network as Network
from byway.network.orthogonal import Orthogonal as Orthogonal
from byway.network.populations import Population as Population
from byway.network.projections import Dense as Dense
from byway.network.projections import Offset as Offset
from byway.network.projections import Skip as Skip
from byway.network.simulate import simulate as simulate
from byway.network.sparse import FixedFanIn as FixedFanIn
from byway.network.wiring import Wiring as Wiring
from byway.network.wiring import wiring as wiring

# Published figures, measured again.
from byway.reproductions._reproduce import Reproduced as Reproduced
from byway.reproductions._reproduce import reproduce as reproduce

# Trained networks that stand alone.
from byway.runs.predictors import load as load
from byway.sklearn import BywayClassifier as BywayClassifier
from byway.sklearn import BywayRegressor as BywayRegressor

# To watch one that learns.
from byway.studio.watching import Studio as Studio
from byway.studio.watching import Watcher as Watcher
from byway.studio.watching import watch as watch

# What is set for the whole process, when it is asked for.
from byway.system.process import use_all_cores as use_all_cores
from byway.system.process import use_compilation_cache as use_compilation_cache
from byway.tasks._shards import Shards as Shards

# To bring a task: own data, or a class.
from byway.tasks.data import Data as Data
from byway.training.fit import fit as fit
from byway.training.history import Reading as Reading
from byway.training.outcome import Outcome as Outcome
from byway.training.predictor import Predictor as Predictor
from byway.training.reach import Reach as Reach
from byway.training.result import Result as Result
from byway.training.stop import Stop as Stop

# Whether a rule or a task of your own keeps the contract.
from byway.verify.rule import check_rule as check_rule
from byway.verify.task import check_task as check_task

__version__: str
