"""Campaigns: what an operator asks of thousands of granules, and the account of every unit of it."""
