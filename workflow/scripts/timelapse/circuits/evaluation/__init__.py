"""How good circuits are: what they keep of the behaviour, at what size. Stage: circuits."""
