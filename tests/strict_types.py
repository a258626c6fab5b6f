"""The type checker of the tests: every annotated call of Byway is checked, an int counts as a
float.
"""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
