"""Tables, records and training logs -> figures.

Functions draw on the axes they get, or on a figure of their own, and return the axes.
They show nothing and touch no global state.
"""
