# Circuits: scored edges of every checkpoint.
