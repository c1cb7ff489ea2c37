"""The Python library: functions and classes for other people's code; ``geoseg`` lists them."""
