"""How a callback ends training: by raising `Stop`."""


class Stop(Exception):
    """Raised by a callback of `fit`: training ends there as if that had been the last epoch, and
    what was learnt and measured is returned. What it says is kept as the reason.
    """
