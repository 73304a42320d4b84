"""The conformance kit as a black box: a host that is not ours, judged from its guests alone."""
