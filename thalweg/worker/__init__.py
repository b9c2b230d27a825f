"""The job: one light process that works through a batch, unit by unit, and writes a receipt for each."""
