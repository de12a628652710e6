"""The one base class of everything this project raises on purpose."""


class SerError(Exception):
    """A mistake in the input, the parameters or the surroundings, said in one sentence with the way out."""
