"""Turn a handful of labelled points into a land-cover map."""

from importlib.metadata import version

__version__ = version("geoseg-pointai")
