"""Builders of the usual networks, each in one line."""

from byway.network.builders.flow import ode
from byway.network.builders.general import graph
from byway.network.builders.layered import convnet, mlp, topdown
from byway.network.builders.recurrent import coupled, lru, orthogonal, rnn
from byway.network.builders.residual import conv_revnet, revnet

__all__ = [
    "conv_revnet",
    "convnet",
    "coupled",
    "graph",
    "lru",
    "mlp",
    "ode",
    "orthogonal",
    "revnet",
    "rnn",
    "topdown",
]
