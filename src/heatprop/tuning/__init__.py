"""The command ``heatprop tune``: the best radius, alpha and beta for somebody's own videos; extra ``tune`` (Optuna)."""
