"""The command ``heatprop reproduce``: the paper's whole protocol over ImageNet VID, or data laid out like it."""
