"""Networks: populations joined by projections, cycles allowed."""
