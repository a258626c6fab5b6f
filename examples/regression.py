"""Numbers to be predicted: rules beside scikit-learn's ridge regression, on the same splits.

python examples/regression.py writes both data sets and prints what ridge regression reaches; the
commands that train rules on them are in docs/figures.md.
"""

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score, root_mean_squared_error

import byway

SETS = {
    "diabetes": load_diabetes(return_X_y=True),
    "friedman1": make_friedman1(4_000, noise=1.0, random_state=0),
}

for name, (inputs, targets) in SETS.items():
    np.savez(f"{name}.npz", x=inputs, y=targets)
    task = byway.Data(path=f"{name}.npz", kind="regression")
    x, y = {}, {}
    for part, split in task.load().items():
        x[part], y[part] = np.asarray(split.x), task.answers(split.y)
    ridge = RidgeCV(np.logspace(-2, 3, 30)).fit(x["train"], y["train"])
    answers = ridge.predict(x["test"])
    error, explained = root_mean_squared_error(y["test"], answers), r2_score(y["test"], answers)
    print(
        f"{name}: ridge regression, alpha {ridge.alpha_:.3g}, on {len(answers)} test samples: "
        f"RMSE {error:.4g}, R² {explained:.4f}"
    )
