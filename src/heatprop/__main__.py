"""``python -m heatprop``."""

from heatprop.cli import main

if __name__ == "__main__":
    main()
