"""Campaigns: what an operator asks for, its plan, and the ledger that accounts for every unit of it."""
