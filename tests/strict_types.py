"""The type checker of the tests: every annotated call of Byway is checked, an int counts as a
float.
"""

from beartype import BeartypeConf, beartype

_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(checked):
    """Check a function or a class; but not the constructor of what scikit-learn constructs, which
    is to take whatever it is given.
    """
    return checked if checked.__qualname__ == "_Estimator.__init__" else _beartype(checked)
