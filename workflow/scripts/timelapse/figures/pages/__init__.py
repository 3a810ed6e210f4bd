"""Pictures over a whole run, each drawn once: `plots` says what, the other modules how."""
