"""The command ``heatprop eval``: reads, evaluates, prints the paper's tables, writes JSON and pictures."""
