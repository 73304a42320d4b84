"""The agent's loop: watch, reconcile, report. A function of the feed's state and the host's."""
