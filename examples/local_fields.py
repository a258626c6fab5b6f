"""Fields that share no weights, on images. `python examples/local_fields.py`: forward-forward on
digits beside backprop and the same with only the readout learnt. `... --task cifar10_subset`: on
colour images, in three layers. `... --maps ff_recurrent frozen`: two maps of the same places, with
fields on the way down too, the label above them.
"""

import argparse
import itertools

import byway

# Of each layer: side of a field, how far apart fields are, units at each place.
FIELDS = {
    "digits": ((5, 1, 8), (3, 1, 16)),
    "cifar10_subset": ((11, 3, 24), (4, 2, 96), (2, 1, 256)),
}
# Of the maps: side of a field of the image, how far apart fields are, side of a field between maps,
# units at each place.
MAPS = {"digits": (5, 2, 3, 16), "cifar10_subset": (11, 4, 3, 24)}


def fields(task: byway.Task, rule: byway.Rule) -> byway.Network:
    """Layers of fields, normalised; the output reads all but the first."""
    shapes = [task.input_shape]
    for side, stride, units in FIELDS[task.id]:
        places = (shapes[-1][0] - side) // stride + 1
        shapes.append((places, places, units))
    names = ["input", *(f"hidden{i}" for i in range(1, len(shapes)))]
    sizes = {**dict(zip(names, shapes, strict=True)), "output": task.outputs}
    read = [(name, "output") for name in names[2:]]
    whole = byway.graph(sizes, [*itertools.pairwise(names), *read], norm=True)
    local = [
        byway.LocallyConnected.between(whole[src], dst, units, side, stride)
        for (src, dst), (side, stride, units) in zip(
            itertools.pairwise(names), FIELDS[task.id], strict=True
        )
    ]
    return byway.graph(sizes, [*local, *read], norm=True)


def maps(task: byway.Task, rule: byway.Rule) -> byway.Network:
    """Two maps, normalised, both read by the output; with a way down for a rule that settles."""
    side, stride, inner, units = MAPS[task.id]
    places = -(-task.input_shape[0] // stride)
    names = ["input", "hidden1", "hidden2", "output"]
    shape = (places, places, units)
    sizes = dict(zip(names, [task.input_shape, shape, shape, task.outputs], strict=True))
    whole = byway.graph(sizes, [*itertools.pairwise(names)], norm=True)
    between = byway.LocallyConnected.between
    wires = [
        between(whole["input"], "hidden1", units, side, stride, "SAME"),
        between(whole["hidden1"], "hidden2", units, inner, 1, "SAME"),
        ("hidden1", "output"),
        ("hidden2", "output"),
    ]
    if rule.settles:
        down = between(whole["hidden2"], "hidden1", units, inner, 1, "SAME", bias=False)
        wires += [down, ("output", "hidden2")]
    return byway.graph(sizes, wires, norm=True)


def main() -> None:
    """Print a line for each rule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*", default=["bp", "ff", "frozen"])
    parser.add_argument("--task", choices=FIELDS, default="digits")
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-2)
    asked = parser.parse_args()
    byway.use_all_cores()
    # Maps with a way down have cycles, on which nothing is frozen: each rule has its own network.
    for rules in [[name] for name in asked.rules] if asked.maps else [asked.rules]:
        found = byway.compare(
            rules,
            maps if asked.maps else fields,
            byway.task(asked.task),
            seeds=asked.seeds,
            epochs=asked.epochs,
            batch=asked.batch,
            lr=asked.lr,
            looks=0,
        )
        print(found)


if __name__ == "__main__":
    main()
