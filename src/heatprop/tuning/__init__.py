"""The command ``heatprop tune``: find the best radius, alpha and beta for your own videos; extra ``tune`` (Optuna)."""
