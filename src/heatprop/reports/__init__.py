"""What ``heatprop eval`` reports: what is read, what is computed, its tables and documents."""
