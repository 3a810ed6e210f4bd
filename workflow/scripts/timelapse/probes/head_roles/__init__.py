"""Head roles: scores for what heads are known to do, and which heads pass their thresholds."""
