"""Running a model with edges ablated: what they carry is replaced, the others are left live."""
