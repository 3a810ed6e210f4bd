"""Head roles: scores for what heads are known to do, and which heads pass their thresholds."""

from timelapse.probes.head_roles.name_movers import needs as needs
