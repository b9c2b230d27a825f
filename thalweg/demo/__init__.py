"""Synthetic winter scenes in genuine product layout, for the demonstration, the benchmark and the tests.

Nothing in here is a measurement: terrain, cover and weather are invented, spectra follow published class statistics.
"""
