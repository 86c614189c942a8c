"""Defines the error of a figure that could not be measured."""

from zmart import errors


class NotMeasured(errors.ZmartError):
    """The figure could not be measured here and now."""
