"""A run folder in which one file is not as the run wrote it: `byway report` says which, and never
ends on a traceback.
"""

import pytest

from byway.cli.main import main
from fuzz.cases import FILES, broken


@pytest.mark.parametrize(("file", "name"), FILES)
def test_a_broken_file_is_named(folder, capsys, file, name):
    (folder / file).write_bytes(broken(file, name))
    assert main(["report", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "wanted:" in said and "do:" in said
    assert file in said
