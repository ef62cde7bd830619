"""Problems on the way from one to another of the same family."""

from pacpde.physics.problem import Problem


def interpolate(source: Problem, target: Problem, share: float) -> Problem:
    """The problem a share of the way along: geometric in positive coefficients, else linear."""
    values = {}
    for name, end in target.coefficients.items():
        start = source.coefficients[name]
        if start > 0 and end > 0:
            values[name] = start * (end / start) ** share if share < 1 else end
        else:
            values[name] = start + share * (end - start) if share < 1 else end
    return target.with_coefficients(**values)
